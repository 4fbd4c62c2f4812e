"""Tunnels without discovery: a local file on each node says what the mesh is, and may change."""
import json
import os

import mesh_case
from mesh_case import VIP, MeshCase
from meters import opened
from program import wait_until


class LocalFile(MeshCase):
    only_ours = "the peer reads its local file once, when it starts"

    @classmethod
    def make_mesh(cls):
        cls.files = []
        for node in cls.lab.nodes:
            cls.files.append(os.path.join(node.folder, "mesh.yaml"))
            node.tunnel.environment.update(XDS_ADDRESS="", LOCAL_XDS_PATH=cls.files[-1])
        cls.pods, cls.policies = [], []
        cls.write()
        super().make_mesh()
        cls.server.serve("say", 8080)
        cls.server.serve("banner", 2525)

    @classmethod
    def await_mesh(cls):
        cls.pods = [cls.client, cls.server]
        cls.write()
        for pod in cls.pods:
            cls.lab.wait_captured(pod)
            cls.lab.wait_protocol(pod, "HBONE")

    @classmethod
    def write(cls):
        # JSON is YAML, too.
        text = json.dumps({
            "workloads": [{"uid": f"lab//Pod/{p.namespace}/{p.name}", "name": p.name,
                           "namespace": p.namespace, "serviceAccount": p.service_account,
                           "workloadIps": p.addresses, "protocol": "HBONE", "node": p.node.name,
                           "services": {"demo/server.example": {"80": 8080}}
                           if p.name == "server" else {}} for p in cls.pods],
            "services": [{"name": "server", "namespace": "demo", "hostname": "server.example",
                          "vips": [f"/{VIP}"], "ports": {"80": 8080}}],
            "policies": cls.policies}, indent=1)
        for path in cls.files:
            with open(path + ".new", "w", encoding="ascii") as file:
                file.write(text)
            os.rename(path + ".new", path)

    def test_the_file_alone_makes_a_mesh(self):
        before = opened(self.server.node, "destination", source_principal=self.client.spiffe)
        answer = self.client.app("ask", VIP, 80, "hello").stdout.strip()
        self.assertEqual(answer, f"{self.client.ip} said: hello")
        after = opened(self.server.node, "destination", source_principal=self.client.spiffe)
        self.assertEqual(after, before + 1)
        dump = json.loads(self.client.node.get(15000, "/config_dump")[1])
        self.assertEqual([w["name"] for w in dump["staticConfig"]["workloads"]],
                         ["client", "server"])
        self.assertEqual(dump["stagedServices"], {})

    def test_a_policy_that_comes_ends_what_it_denies(self):
        with self.client.connect(self.server.ip, 2525) as handle:
            self.assertTrue(handle.recv(1000))
            type(self).policies = [{
                "name": "no-client", "namespace": "demo", "scope": "Namespace", "action": "Deny",
                "rules": [[[{"principals": [{"Suffix": "/sa/client"}]}]]]}]
            self.write()
            try:
                left = handle.recv(1000)
            except ConnectionError:
                left = b""
            self.assertEqual(left, b"")
        type(self).policies = []
        self.write()
        wait_until("the policy is gone", lambda: not self.lab.tunnel_knows(
            self.server.node, "no-client"))
        self.assertIn("said: hello", self.client.app("ask", self.server.ip, 8080, "hello").stdout)

    def test_a_broken_file_is_reported_and_changes_nothing(self):
        with open(self.files[0], "w", encoding="ascii") as file:
            file.write("workloads:\n- name: client\n  adress: 1\n")
        self.client.node.tunnel.wait_log("line 2: a workload needs the key")
        self.assertIn("said: hello", self.client.app("ask", VIP, 80, "hello").stdout)
        self.write()


if __name__ == "__main__":
    mesh_case.main()
