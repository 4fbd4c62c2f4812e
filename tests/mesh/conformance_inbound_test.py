"""What comes in at a pod's port 15008: who is let in, to where, and what the others are told.

Runs with another tunnel, too: AMBIT_TUNNEL_UNDER_TEST.
"""
import os

import mesh_case
from certificates import Authority, client_context
from hbone_peer import Tunnel, authority_of
from mesh_case import MeshCase
from mesh_objects import one_rule, serves
from program import wait_until
from source_lab import SourceLab

SERVICE, NAMED, EMPTY = (f"{name}.demo.svc.cluster.local" for name in ("web", "named", "empty"))
IDENTITY = "spiffe://cluster.local/ns/demo/sa/caller"
DENIED_TEXT = "allow policies exist, but none allowed"


class Inbound(MeshCase):
    lab_class = SourceLab

    @classmethod
    def make_mesh(cls):
        cls.make_pods()
        cls.lab.set_service("demo", SERVICE, ["10.96.0.20", "fd77:96::20"], {80: 8080})
        cls.lab.set_service("demo", NAMED, ["10.96.0.21", "fd77:96::21"], {80: 0})
        cls.lab.set_service("demo", EMPTY, ["10.96.0.22", "fd77:96::22"], {80: 0})
        cls.lab.announce(cls.server, **serves({("demo", SERVICE): {80: 8080},
                                               ("demo", NAMED): {80: 8081}}))
        cls.await_pods()
        cls.server.serve("say", 8080)
        cls.named = cls.server.serve("say", 8081)
        cls.mesh = Authority(os.path.join(cls.lab.folder, "mesh-ca"),
                             cls.lab.root_key(), cls.lab.root_certificate)
        cls.caller = client_context(cls.mesh.leaf(f"URI:{IDENTITY}"))

    def each_tunnel(self):
        """(address of the server, tunnel to it) of each family."""
        opened = [(a, Tunnel(self.plain, a, self.caller)) for a in self.server.addresses]
        for _, tunnel in opened:
            self.addCleanup(tunnel.close)
        return opened

    def wait_logged(self, *texts, offset=0):
        """The access-log line of the server's tunnel that has all the texts."""
        log = self.server.node.tunnel
        return wait_until(f"the log says {texts}", lambda: next(
            (line for line in log.log()[offset:].splitlines() if all(t in line for t in texts)),
            None))

    def log_size(self):
        return len(self.server.node.tunnel.log())

    def assert_reaches(self, tunnel, authority, extra=()):
        secret = self.secret()
        stream, status, _ = tunnel.ask(authority, extra=extra)
        self.assertEqual(status, "200")
        self.assertIn(secret, tunnel.exchange(stream, secret))
        return secret

    def test_the_pods_own_address_reaches_the_app(self):
        for address, tunnel in self.each_tunnel():
            stream, status, headers = tunnel.ask(authority_of(address, 8080))
            self.assertEqual(status, "200")
            self.assertIn("k8s.namespace.name=demo", headers["baggage"])
            # The app sees the client's own address.
            self.assertEqual(tunnel.exchange(stream, "hello"),
                             f"{self.plain.addresses[':' in address]} said: hello")

    def test_another_address_is_400_and_logged_as_a_mismatch(self):
        for address, tunnel in self.each_tunnel():
            offset = self.log_size()
            for other in (self.client.addresses[":" in address], "192.0.2.1", "2001:db8::1"):
                self.assertEqual(tunnel.status(authority_of(other, 8080)), "400")
            self.wait_logged("ip mismatch", offset=offset)
            self.assert_reaches(tunnel, authority_of(address, 8080))

    def test_the_other_family_of_the_same_pod_is_another_address(self):
        with Tunnel(self.plain, self.server.ip, self.caller) as tunnel:
            self.assertEqual(tunnel.status(authority_of(self.server.ip6, 8080)), "400")

    def test_a_hostname_reaches_the_target_port_of_its_service(self):
        for _, tunnel in self.each_tunnel():
            self.assert_reaches(tunnel, f"{SERVICE}:80")

    def test_a_named_port_is_the_endpoints_own(self):
        for _, tunnel in self.each_tunnel():
            self.assert_reaches(tunnel, f"{NAMED}:80")
        self.assertEqual(self.named.log().count(" said: "), 2)

    def test_a_hostname_that_leads_nowhere_is_503(self):
        for _, tunnel in self.each_tunnel():
            for authority in ("unknown.demo.svc.cluster.local:80", f"{SERVICE}:81", f"{EMPTY}:80"):
                self.assertEqual(tunnel.status(authority), "503", authority)

    def test_what_is_no_connect_request_is_400_or_reset_and_the_tunnel_lives(self):
        for address, tunnel in self.each_tunnel():
            self.assertIn(tunnel.status(authority_of(address, 8080), method="GET", extra=(
                (":scheme", "http"), (":path", "/"))), ("400", "reset"))
            for authority in ("no-port", "no-port.demo:", f"{address}"):
                self.assertIn(tunnel.status(authority), ("400", "reset"), authority)
            self.assert_reaches(tunnel, authority_of(address, 8080))

    def test_the_tunnels_own_ports_are_503(self):
        for address, tunnel in self.each_tunnel():
            for port in (15001, 15006, 15008):
                self.assertEqual(tunnel.status(authority_of(address, port)), "503", port)

    def test_a_port_without_an_app_is_503(self):
        for address, tunnel in self.each_tunnel():
            self.assertEqual(tunnel.status(authority_of(address, 8999)), "503")

    def test_streams_of_one_tunnel_do_not_disturb_each_other(self):
        for address, tunnel in self.each_tunnel():
            streams = [tunnel.ask(authority_of(address, 8080))[0] for _ in range(10)]
            self.assertEqual(tunnel.status(authority_of(address, 8999)), "503")
            for number, stream in enumerate(streams):
                self.assertIn(f"line {number}", tunnel.exchange(stream, f"line {number}"))

    def assert_cut(self, pod, address):
        """The app's connection ends without a byte: by a reset where its own bytes were not read."""
        asked = pod.app("ask", address, 8080, "hello", check=False)
        self.assertNotEqual(asked.returncode, 0)
        self.assertNotIn("said", asked.stdout)
        if not mesh_case.other_tunnel():
            self.assertIn("reset", asked.stdout.lower())

    def deny_all_but(self, principal):
        self.lab.set_policy("demo", "only", "ALLOW", one_rule(principals=[{"exact": principal}]))
        self.addCleanup(self.lab.remove_policy, "demo", "only")

    def test_a_principal_that_is_allowed_gets_in(self):
        self.deny_all_but(IDENTITY.removeprefix("spiffe://"))
        for address, tunnel in self.each_tunnel():
            self.assert_reaches(tunnel, authority_of(address, 8080))

    def test_a_principal_with_its_scheme_matches_nobody_and_is_401(self):
        self.deny_all_but(IDENTITY)
        for address, tunnel in self.each_tunnel():
            offset = self.log_size()
            self.assertEqual(tunnel.status(authority_of(address, 8080)), "401")
            self.wait_logged("error=", DENIED_TEXT, f'src.identity="{IDENTITY}"', offset=offset)

    def test_a_denied_app_sees_its_connection_cut(self):
        self.deny_all_but(IDENTITY)
        for address in self.server.addresses:
            offset = self.log_size()
            self.assert_cut(self.client, address)
            self.wait_logged(DENIED_TEXT, f'src.identity="{self.client.spiffe}"', offset=offset)

    def test_plaintext_is_denied_where_only_principals_are_allowed(self):
        self.deny_all_but(self.client.spiffe.removeprefix("spiffe://"))
        for address in self.server.addresses:
            self.assert_cut(self.plain, address)
            self.assertIn("said: hello", self.client.app("ask", address, 8080, "hello").stdout)

    def test_another_trust_domain_is_refused(self):
        stranger = client_context(self.mesh.leaf("URI:spiffe://other.domain/ns/demo/sa/caller"))
        for address in self.server.addresses:
            with self.assertRaises((ConnectionError, OSError)), \
                    Tunnel(self.plain, address, stranger) as tunnel:
                tunnel.ask(authority_of(address, 8080))

    def test_a_crafted_header_is_harmless(self):
        crafted = (("traceparent", "0" * 55), ("traceparent", "00-" + "é" * 26),
                   ("baggage", "=,=,,k8s.namespace.name"), ("baggage", "x" * 4000),
                   ("forwarded", "for=;host=\"\";;;"), ("forwarded", "host=" + "a" * 2000))
        for address, tunnel in self.each_tunnel():
            if self.peer_differs("a crafted traceparent ends the tunnel"):
                crafted = crafted[2:]
            for header in crafted:
                self.assert_reaches(tunnel, authority_of(address, 8080), extra=(header,))

    differences = {"a crafted traceparent ends the tunnel": "the peer indexes past the end of one "
                   "with 55 characters and no dashes, and every stream of the tunnel ends"}


if __name__ == "__main__":
    mesh_case.main()
