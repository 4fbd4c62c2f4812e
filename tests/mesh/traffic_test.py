"""Labelled and unlabelled pods talk across two nodes, seen from the apps, the wire and the logs."""
import json

import mesh_case
from lab import AMBIENT
from mesh_case import VIP, VIP6, MeshCase
from meters import opened
from program import wait_until
from wire import HBONE_PORT, starts_tls


class TrafficOverPtp(MeshCase):
    differences = {"test_an_open_connection_is_in_the_config_dump_of_both_tunnels":
                   "the peer's has neither bytes nor age"}

    @classmethod
    def make_mesh(cls):
        super().make_mesh()
        for pod in (cls.client, cls.server, cls.plain):
            pod.serve("say", 8080)
        cls.server.serve("banner", 2525)

    def assert_tunnelled(self, host, port, source):
        secret, answer, capture = self.captured_ask(self.client, host, port)
        self.assertEqual(answer.strip(), f"{source} said: {secret}")
        self.assertFalse(capture.contains(secret.encode()), "the payload was on the wire in clear")
        between = capture.between(set(self.client.addresses), set(self.server.addresses))
        self.assertTrue(any(s.payload and starts_tls(s.payload) for s in between))
        self.assertEqual({p for s in between for p in (s.source_port, s.destination_port)
                          if p < 32768}, {HBONE_PORT})

    def assert_plaintext(self, pod, other):
        secret, answer, capture = self.captured_ask(pod, other.ip)
        self.assertEqual(answer.strip(), f"{pod.ip} said: {secret}")
        self.assertTrue(capture.contains(secret.encode()))

    def test_labelled_to_labelled_by_pod_ip(self):
        self.assert_tunnelled(self.server.ip, 8080, self.client.ip)

    def test_labelled_to_labelled_by_pod_ipv6(self):
        self.assert_tunnelled(self.server.ip6, 8080, self.client.ip6)

    def test_labelled_to_labelled_by_service_vip(self):
        self.assert_tunnelled(VIP, 80, self.client.ip)

    def test_labelled_to_labelled_by_service_vip_ipv6(self):
        secret, answer, capture = self.captured_ask(self.client, VIP6, 80)
        self.assertIn(secret, answer)
        self.assertIn(answer.split(" ")[0], self.client.addresses)
        self.assertFalse(capture.contains(secret.encode()))

    def test_labelled_to_unlabelled_and_back_is_plaintext(self):
        self.assert_plaintext(self.client, self.plain)
        self.assert_plaintext(self.plain, self.client)

    def assert_mutual_tls(self, pod, host, port):
        """A connection to `server` from a pod of its own node, where no wire can be looked at."""
        def tunnelled():
            return [opened(self.server.node, reporter, connection_security_policy="mutual_tls",
                           source_principal=pod.spiffe, destination_principal=self.server.spiffe)
                    for reporter in ("source", "destination")]
        before = tunnelled()
        secret = self.secret()
        answer = pod.app("ask", host, port, secret).stdout.strip()
        self.assertEqual(answer, f"{pod.ip6 if ':' in host else pod.ip} said: {secret}")
        self.assertEqual(tunnelled(), [count + 1 for count in before])

    def test_labelled_to_labelled_on_one_node(self):
        pod = self.lab.add_pod("neighbour", self.server.node, labels=AMBIENT,
                               service_account="neighbour")
        self.lab.wait_captured(pod)
        self.lab.wait_protocol(pod, "HBONE")
        for host, port in ((self.server.ip, 8080), (self.server.ip6, 8080), (VIP, 80)):
            with self.subTest(host):
                self.assert_mutual_tls(pod, host, port)
        self.lab.remove_pod(pod)

    def test_a_pod_reaches_itself_by_its_service(self):
        for host in (VIP, VIP6):
            with self.subTest(host):
                self.assert_mutual_tls(self.server, host, 80)

    def test_a_running_pod_leaves_and_joins_by_its_label(self):
        for labels, protocol in (({}, "TCP"), (AMBIENT, "HBONE")):
            self.server.label({"app": "server", **labels})
            self.lab.wait_captured(self.server, bool(labels))
            self.lab.wait_protocol(self.server, protocol)
            tables = self.server.run("nft", "list", "tables").stdout
            self.assertEqual("inet ambit" in tables, bool(labels))
            if labels:
                self.assert_tunnelled(self.server.ip, 8080, self.client.ip)
            else:
                self.assert_plaintext(self.client, self.server)

    def test_the_server_may_speak_first(self):
        secret = self.secret()
        answer = self.client.app("greet", self.server.ip, 2525, secret).stdout.splitlines()
        self.assertEqual(answer, [f"220 banner ready for {self.client.ip}", f"250 got {secret}"])

    def test_check_passes_and_finds_missing_rules(self):
        pod = self.lab.add_pod("checked", self.lab.nodes[0], labels=AMBIENT)
        self.assertEqual(pod.node.cnitool("check", pod, check=False).stdout, "")
        pod.run("nft", "delete", "table", "inet", "ambit")
        done = pod.node.cnitool("check", pod, check=False)
        self.assertNotEqual(done.returncode, 0)
        self.lab.remove_pod(pod)

    def test_a_deleted_pod_is_forgotten_and_deleting_twice_is_fine(self):
        pod = self.lab.add_pod("brief", self.lab.nodes[1], labels=AMBIENT)
        self.lab.wait_captured(pod)
        pod.node.cnitool("del", pod)
        pod.node.cnitool("del", pod)
        self.lab.wait_captured(pod, False)
        self.lab.remove_pod(pod)

    def test_both_access_logs_name_both_identities(self):
        self.client.app("ask", self.server.ip, 8080, "for the log")
        for node, direction in zip(self.lab.nodes, ("outbound", "inbound")):
            def logged(tunnel=node.tunnel, word=direction):
                return any("connection complete" in line and f'direction="{word}"' in line
                           and f'src.identity="{self.client.spiffe}"' in line
                           and f'dst.identity="{self.server.spiffe}"' in line
                           for line in tunnel.log().splitlines())
            wait_until(f"{node.name} logs the {direction} connection", logged)

    def test_an_open_connection_is_in_the_config_dump_of_both_tunnels(self):
        self.server.serve("hold", 8083)

        def shown(pod, direction):  # once the answer's bytes have been counted
            state = json.loads(pod.node.get(15000, "/config_dump")[1])["workloadState"][pod.uid]
            return [c for c in state.get("connections", {}).get(direction, [])
                    if (c["bytesSent"], c["bytesReceived"]) == (5, 5)]
        with self.client.connect(self.server.ip, 8083) as connection:
            connection.sendall(b"still")
            self.assertEqual(connection.recv(100), b"still")
            [outbound], [inbound] = (
                wait_until(f"{pod.name} has the connection", lambda p=pod, d=way: shown(p, d))
                for pod, way in ((self.client, "outbound"), (self.server, "inbound")))
            source = connection.getsockname()
            self.assertEqual(outbound["src"], f"{source[0]}:{source[1]}")
            self.assertEqual(outbound["originalDst"], f"{self.server.ip}:8083")
            self.assertEqual(inbound["actualDst"], f"{self.server.ip}:8083")
            for side in (outbound, inbound):
                self.assertEqual((side["protocol"], side["srcIdentity"], side["dstIdentity"]),
                                 ("HBONE", self.client.spiffe, self.server.spiffe))
        wait_until("it is gone from both", lambda: not shown(self.client, "outbound")
                   and not shown(self.server, "inbound"))

    def test_an_unlabelled_pod_has_no_rules(self):
        self.assertNotIn("ambit", self.plain.run("nft", "list", "tables").stdout)
        rules = self.plain.run("ip", "rule", "list").stdout
        self.assertNotIn("0x111", rules)


class TrafficOverBridge(TrafficOverPtp):
    main_plugin = "bridge"


if __name__ == "__main__":
    mesh_case.main()
