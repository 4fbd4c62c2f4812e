"""`istioctl ztunnel-config` reads our /config_dump: every kind shows what the mesh has."""
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, "mesh"))
# pylint: disable=wrong-import-position
import mesh_case
from mesh_case import VIP, MeshCase
from mesh_objects import one_rule, serves
from program import wait_until
from source_lab import SourceLab


class Istioctl(MeshCase):
    lab_class = SourceLab

    @classmethod
    def make_mesh(cls):
        cls.make_pods()
        cls.await_pods()
        cls.server.serve("hold", 8083)
        host, waypoint = "server.demo.svc.cluster.local", "way.demo.svc.cluster.local"
        cls.lab.set_service("demo", waypoint, ["10.96.0.20"], {15008: 15008})
        cls.lab.set_service("demo", host, [VIP], {80: 8080}, waypoint={
            "hostname": {"namespace": "demo", "hostname": waypoint}, "hbone_mtls_port": 15008})
        cls.lab.announce(cls.server, **serves({("demo", host): {80: 8080}}))
        cls.lab.announce(cls.plain, waypoint={
            "hostname": {"namespace": "demo", "hostname": waypoint}, "hbone_mtls_port": 15008})
        cls.lab.set_policy("demo", "only-client", "ALLOW", one_rule(
            principals=[{"exact": cls.client.spiffe.removeprefix("spiffe://")}]))
        for node in cls.lab.nodes:
            for text in ("only-client", VIP, waypoint):
                cls.lab.wait_text(node, text)
        cls.held = cls.client.connect(cls.server.ip, 8083)
        cls.addClassCleanup(cls.held.close)
        cls.held.sendall(b"x" * 64)
        assert cls.held.recv(64)

    def show(self, node, *arguments):
        """The rows of one command's table, its heading first, on the dump of the node's tunnel."""
        dump = os.path.join(self.lab.folder, "dump.json")
        with open(dump, "w", encoding="utf-8") as file:
            file.write(node.get(15000, "/config_dump")[1])
        done = subprocess.run([os.environ["PEER_ISTIOCTL"], "ztunnel-config", *arguments, "--file",
                               dump], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              check=False, timeout=60)
        self.assertEqual(done.returncode, 0, done.stdout)
        folder = os.environ.get("AMBIT_LAB_LOGS")
        if folder:
            path = os.path.join(folder, f"istioctl-{node.name}-{'-'.join(arguments)}")
            with open(path, "w", encoding="utf-8") as file:
                file.write(done.stdout)
        return [line.split() for line in done.stdout.splitlines() if line.strip()]

    def test_workloads(self):
        rows = self.show(self.lab.nodes[0], "workloads")
        self.assertEqual(rows[0], "NAMESPACE POD NAME ADDRESS NODE WAYPOINT PROTOCOL".split())
        for pod, waypoint, protocol in ((self.client, "None", "HBONE"),
                                        (self.server, "None", "HBONE"), (self.plain, "way", "TCP")):
            self.assertIn(["demo", pod.name, ",".join(pod.addresses), pod.node.name, waypoint,
                           protocol], rows)

    def test_services(self):
        rows = self.show(self.lab.nodes[0], "services")
        row = next(r for r in rows if r[1] == "server")
        self.assertEqual((row[0], row[-2:]), ("demo", ["way", "1/1"]))
        self.assertIn(VIP, row[2])

    def test_policies(self):
        rows = self.show(self.lab.nodes[1], "policies")
        self.assertIn(["demo", "only-client", "Allow", "Namespace"], rows)

    def test_certificates(self):
        rows = [r for r in self.show(self.lab.nodes[1], "certificates")
                if r[0] == self.server.spiffe]
        self.assertEqual([r[1] for r in rows], ["Leaf", "Root"])
        for row in rows:
            self.assertEqual(row[2:4], ["Available", "true"])
            int(row[4], 16)

    def test_connections(self):
        def shown(node, direction):
            return [r for r in self.show(node, "connections", "--raw") if direction in r]
        local, port = self.held.getsockname()[:2]
        node_a, node_b = self.lab.nodes
        out = wait_until("the client's side is shown", lambda: shown(node_a, "Outbound"))
        self.assertIn(["client.demo", "Outbound", f"{local}:{port}", f"{self.server.ip}:15008",
                       f"{self.server.ip}:8083", "HBONE"], out)
        inbound = shown(node_b, "Inbound")
        self.assertEqual([r[:3] + r[-1:] for r in inbound],
                         [["server.demo", "Inbound", f"{self.server.ip}:8083", "HBONE"]])

    def test_all(self):
        text = "\n".join(" ".join(r) for r in self.show(self.lab.nodes[0], "all"))
        for word in ("only-client", self.client.spiffe, VIP, self.plain.ip):
            self.assertIn(word, text)


if __name__ == "__main__":
    mesh_case.main()
