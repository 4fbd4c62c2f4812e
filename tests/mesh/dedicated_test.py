"""A tunnel that serves one pod, inside that pod's own namespace and without its node's agent."""
import os
import socket

import isolation
import mesh_case
from mesh_case import MeshCase
from node import CONTROL_ADDRESS, CONTROL_PORT, binary
from program import Program, run, wait_until
from wire import HBONE_PORT

# What is left of root: no namespaces, no marks, no addresses of others.
UNPRIVILEGED = ["setpriv", "--bounding-set=-sys_admin,-net_admin,-net_raw", "--inh-caps=-all", "--"]


class Dedicated(MeshCase):
    @classmethod
    def make_mesh(cls):
        super().make_mesh()
        node = cls.lab.nodes[0]
        cls.solo = cls.lab.add_pod("solo", node, labels={"app": "solo"}, service_account="solo",
                                   annotations={"ambient.istio.io/redirection": "enabled"})
        # Its tunnel speaks to the control plane from the pod's own address.
        run(["ip", "route", "add", node.pod_range, "via", node.address])
        cls.tunnel = cls.make_tunnel("dedicated-solo", cls.solo.netns)
        cls.tunnel.start()
        cls.lab.programs.append(cls.tunnel)
        for pod in (cls.solo, cls.client):
            pod.serve("say", 8080)
        cls.lab.wait_protocol(cls.solo, "HBONE")

    @classmethod
    def make_tunnel(cls, name, netns, environment=None):
        server = f"https://{CONTROL_ADDRESS}:{CONTROL_PORT}"
        node = cls.lab.nodes[0]
        return Program(name, UNPRIVILEGED + [binary("ztunnel-lite")], cls.lab.log_folder, netns, {
            "PROXY_MODE": "dedicated", "PROXY_WORKLOAD_INFO": "demo/solo/solo",
            "NODE_NAME": node.name, "XDS_ADDRESS": server, "CA_ADDRESS": server,
            "XDS_ROOT_CA": cls.lab.root_certificate, "CA_ROOT_CA": cls.lab.root_certificate,
            "AUTH_TOKEN": os.path.join(node.folder, "token"), **(environment or {})})

    def test_the_pod_is_reached_over_a_tunnel_as_itself(self):
        secret, answer, capture = self.captured_ask(self.server, self.solo.ip)
        # Without the right to speak for others the tunnel itself is the app's client.
        self.assertEqual(answer.strip(), f"{self.solo.ip} said: {secret}")
        self.assertEqual(capture.ports_between(self.server, self.solo), {HBONE_PORT})
        self.assertIn(f'dst.identity="{self.solo.spiffe}"', self.tunnel.wait_log("inbound"))

    def test_a_port_that_is_taken_ends_the_start_and_is_named(self):
        for port in (15001, 15006, 15008):
            with self.subTest(port=port):
                node = self.lab.nodes[1]
                with isolation.in_netns(node.netns,
                                        lambda p=port: socket.create_server(("0.0.0.0", p))):
                    second = self.make_tunnel(f"dedicated-{port}", node.netns,
                                              {"INPOD_PORT_REUSE": "false"}).start()
                    wait_until("it ended", lambda p=second: not p.running())
                self.assertEqual(second.process.returncode, 1)
                self.assertIn(f"port {port} of the pod", second.log())

    def test_it_ends_in_order(self):
        self.assertEqual(self.tunnel.end(), 0)
        self.assertIn("shut down", self.tunnel.log())
        self.tunnel.start()
        self.tunnel.wait_log("started", after=len(self.tunnel.log()) // 2)


if __name__ == "__main__":
    mesh_case.main()
