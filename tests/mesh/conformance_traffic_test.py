"""Who talks with whom, captured or not, on one node or two, and what logs and metrics say of it.

Runs with another tunnel, too: AMBIT_TUNNEL_UNDER_TEST.
"""
import re

import mesh_case
from lab import AMBIENT
from mesh_case import MeshCase
from mesh_objects import serves
from meters import metric, opened, still_open
from program import wait_until
from source_lab import SourceLab

PORT, SAY = 8085, 8080
ASKED, ANSWERED = b"12345 0022\n", 22  # 11 bytes for 22
SERVICE, VIP, VIP6 = "pair.demo.svc.cluster.local", "10.96.0.30", "fd77:96::30"
FIELD = re.compile(r'([\w.]+)=("(?:[^"\\]|\\.)*"|\S+)')


class Traffic(MeshCase):
    lab_class = SourceLab

    @classmethod
    def make_mesh(cls):
        cls.lab.manifests.namespace("demo")
        cls.lab.start()
        cls.pods = {}
        for node in cls.lab.nodes:
            for role in ("client", "server"):
                for captured in (True, False):
                    cls.add_pod(node, role, captured)
        ports = {80: SAY}
        cls.lab.set_service("demo", SERVICE, [VIP, VIP6], ports)
        for (_, role, captured), pod in cls.pods.items():
            if captured:
                cls.lab.wait_captured(pod)
            if role == "server":
                pod.serve("pour", PORT)
                if captured:
                    cls.lab.announce(pod, **serves({("demo", SERVICE): ports}))
        cls.says = [cls.pods[letter, "server", True].serve("say", SAY) for letter in "ab"]

    @classmethod
    def add_pod(cls, node, role, captured):
        letter = node.name[-1]
        name = f"{role}-{letter}{'' if captured else '-plain'}"
        cls.pods[letter, role, captured] = cls.lab.add_pod(
            name, node, labels={"app": role, **(AMBIENT if captured else {})}, service_account=role)

    def exchange(self, client, address):
        with client.connect(address, PORT) as connection:
            connection.sendall(ASKED)
            got = b""
            while chunk := connection.recv(100):
                got += chunk
        self.assertEqual(len(got), ANSWERED)

    def record(self, node, offset, direction, *pods):
        """The fields of the next complete connection of that direction in the node's access log,
        from the first pod to the second."""
        wanted = ("connection complete", f'direction="{direction}"',
                  *(f'{side}.workload="{p.name}"' for side, p in zip(("src", "dst"), pods)))

        def find():
            for line in node.tunnel.log()[offset:].splitlines():
                if all(text in line for text in wanted):
                    return {k: v.strip('"') for k, v in FIELD.findall(line)}
            return None
        return wait_until(f"{node.name} has logged an {direction} connection", find)

    def assert_record(self, pod, offset, client, server, tunnelled):
        outbound = pod is client
        fields = self.record(pod.node, offset, "outbound" if outbound else "inbound",
                             client, server)
        sent, received = (len(ASKED), ANSWERED) if outbound else (ANSWERED, len(ASKED))
        expected = {"src.workload": client.name, "dst.workload": server.name,
                    "src.namespace": "demo", "dst.namespace": "demo",
                    "src.cluster": "Kubernetes", "dst.cluster": "Kubernetes",
                    "bytes_sent": str(sent), "bytes_recv": str(received),
                    "src.identity": client.spiffe if tunnelled else None,
                    "dst.identity": server.spiffe if tunnelled else None, "error": None}
        self.assertEqual({k: fields.get(k) for k in expected}, expected)
        self.assertTrue(fields["src.addr"].strip("[").startswith(
            tuple(client.addresses)), fields["src.addr"])
        self.assertEqual("dst.hbone_addr" in fields, tunnelled)
        self.assertRegex(fields["duration"], r"^\d+ms$")

    def assert_pair(self, client, server, client_captured, server_captured):
        for address in server.addresses:
            offsets = {n: len(n.tunnel.log()) for n in self.lab.nodes}
            self.exchange(client, address)
            tunnelled = client_captured and server_captured
            for pod, captured in ((client, client_captured), (server, server_captured)):
                if captured:
                    self.assert_record(pod, offsets[pod.node], client, server, tunnelled)

    def assert_matrix(self, client_captured, server_captured):
        for server_node in "ab":
            client = self.pods["a", "client", client_captured]
            server = self.pods[server_node, "server", server_captured]
            with self.subTest(client=client.name, server=server.name):
                self.assert_pair(client, server, client_captured, server_captured)

    def test_both_captured_on_one_node_and_on_two(self):
        self.assert_matrix(True, True)

    def test_only_the_client_captured_on_one_node_and_on_two(self):
        self.assert_matrix(True, False)

    def test_only_the_server_captured_on_one_node_and_on_two(self):
        self.assert_matrix(False, True)

    def test_neither_captured_is_none_of_the_tunnels_business(self):
        offsets = [len(n.tunnel.log()) for n in self.lab.nodes]
        self.assert_matrix(False, False)
        for node, offset in zip(self.lab.nodes, offsets):
            self.assertNotIn("connection complete", node.tunnel.log()[offset:])

    def answered_by(self):
        return [say.log().count(" said: ") for say in self.says]

    def test_one_request_to_a_service_hits_one_backend_and_fifty_hit_both(self):
        client = self.pods["a", "client", True]
        for vip in (VIP, VIP6):
            before = self.answered_by()
            client.app("ask", vip, 80, "once")
            self.assertEqual(sum(self.answered_by()) - sum(before), 1)
            for _ in range(50):
                with client.connect(vip, 80) as connection:
                    connection.sendall(b"again\n")
                    self.assertIn(b"again", connection.recv(100))
            hits = [now - then for now, then in zip(self.answered_by(), before)]
            self.assertEqual(sum(hits), 51)
            self.assertTrue(all(hits), hits)

    def test_a_service_is_a_label_at_both_reporters(self):
        client = self.pods["a", "client", True]
        labels = {"destination_service": SERVICE, "destination_service_name": "pair",
                  "destination_service_namespace": "demo", "source_workload": client.name,
                  "connection_security_policy": "mutual_tls", "source_principal": client.spiffe,
                  "response_flags": "-", "request_protocol": "tcp"}

        def totals():
            return [sum(opened(n, reporter, **labels) for n in self.lab.nodes)
                    for reporter in ("source", "destination")]
        before = totals()
        for vip in (VIP, VIP6):
            client.app("ask", vip, 80, "once")
        self.assertEqual(totals(), [n + 2 for n in before])

    def test_a_connection_is_counted_while_it_is_open_and_its_bytes_exactly(self):
        client, server = self.pods["a", "client", True], self.pods["b", "server", True]
        node_a, node_b = self.lab.nodes

        def bytes_of(node, reporter, way):
            return metric(node, f"istio_tcp_{way}_bytes_total", reporter=reporter,
                          source_workload=client.name, destination_workload=server.name)

        def numbers():
            return [f(node, reporter, *more) for node, reporter in (
                (node_a, "source"), (node_b, "destination"))
                for f, more in ((bytes_of, ("received",)), (bytes_of, ("sent",)))]
        for address in server.addresses:
            before, open_before = numbers(), [still_open(node_a, "source"),
                                              still_open(node_b, "destination")]
            with client.connect(address, PORT) as connection:
                wait_until("both count it as open", lambda o=open_before: [
                    still_open(node_a, "source"), still_open(node_b, "destination")]
                    == [n + 1 for n in o])
                connection.sendall(ASKED)
                while connection.recv(100):
                    pass
            wait_until("both count it as closed", lambda o=open_before: [
                still_open(node_a, "source"), still_open(node_b, "destination")] == o)
            self.assertEqual([now - then for now, then in zip(numbers(), before)], [11, 22] * 2)


if __name__ == "__main__":
    mesh_case.main()
