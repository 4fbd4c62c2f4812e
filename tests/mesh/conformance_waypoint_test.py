"""Waypoints, in front of workloads and services and beside a tunnel, and gateways to other networks.

Runs with another tunnel, too: AMBIT_TUNNEL_UNDER_TEST.
"""
import os
import socket

import isolation
import mesh_case
from certificates import Authority
from hbone_peer import authority_of
from hbone_relay import HboneRelay, demanding_context
from lab import AMBIENT
from mesh_case import MeshCase
from mesh_objects import Enum, by_address, by_hostname, serves
from program import wait_until
from source_lab import SourceLab

NAMESPACE, SUFFIX = "demo", ".demo.svc.cluster.local"
SERVICE, WAYPOINT, GATEWAY = "web" + SUFFIX, "waypoint" + SUFFIX, "gateway" + SUFFIX
VIPS = ("10.96.0.40", "fd77:96::40")
WAYPOINT_VIPS = ("10.96.0.41", "fd77:96::41")
HBONE, GATEWAY_PORT, APP_PORT, TUNNEL_PORT = 15008, 15009, 8080, 15088
SIGNATURE = bytes.fromhex("0d0a0d0a000d0a515549540a")


class Hops:
    """What a test needs to stand between the client and the server."""
    lab_class = SourceLab

    @classmethod
    def make_mesh(cls):
        cls.make_pods()
        cls.sandwich = cls.lab.add_pod("sandwich", cls.lab.nodes[1], labels={
            "app": "sandwich", **AMBIENT}, service_account="sandwich")
        cls.lab.wait_captured(cls.sandwich)
        cls.await_pods()
        cls.server.serve("say", APP_PORT)
        cls.sandwiched = cls.sandwich.serve("say", TUNNEL_PORT)
        mesh = Authority(os.path.join(cls.lab.folder, "mesh-ca"), cls.lab.root_key(),
                         cls.lab.root_certificate)
        context = demanding_context(mesh.leaf(f"URI:{cls.plain.spiffe}"),
                                    cls.lab.root_certificate)
        cls.waypoint = HboneRelay(cls.plain, HBONE, context,
                                  lambda _: (cls.server.ip, APP_PORT)).__enter__()
        cls.addClassCleanup(cls.waypoint.__exit__)
        cls.gateway = HboneRelay(cls.plain, GATEWAY_PORT, context,
                                 lambda _: (cls.server.ip, HBONE)).__enter__()
        cls.addClassCleanup(cls.gateway.__exit__)

    def setUp(self):
        for pod in (self.server, self.sandwich, self.plain):
            self.lab.fields.pop(pod.name, None)
            self.lab.announce(pod)
        # The plain pod is a waypoint or a gateway, and takes HBONE as such.
        self.lab.announce(self.plain, tunnel_protocol=Enum("HBONE"))

    def set_web(self, **more):
        self.lab.set_service(NAMESPACE, SERVICE, VIPS, {80: APP_PORT}, **more)
        self.lab.announce(self.server, **serves({(NAMESPACE, SERVICE): {80: APP_PORT}}))

    def ask(self, address, port):
        secret = self.secret()
        answer = self.client.app("ask", address, port, secret, check=False).stdout
        self.assertIn(secret, answer, f"{address}:{port} did not answer")
        return answer

    def log_line(self, *texts, offset=0):
        """The client's side of a connection."""
        log = self.client.node.tunnel
        return wait_until(f"the log says {texts}", lambda: next(
            (line for line in log.log()[offset:].splitlines()
             if all(text in line for text in (*texts, "connection complete", "outbound"))), None))

    def assert_goes_to_waypoint(self, address, port):
        offset = len(self.client.node.tunnel.log())
        self.ask(address, port)
        request = self.waypoint.requests[-1]
        self.assertEqual(request[":authority"], authority_of(address, port))
        self.assertEqual(request["peer"], self.client.spiffe)
        self.assertIn("k8s.namespace.name=demo", request["baggage"])
        self.assertNotIn("x-forwarded-network", request)
        self.log_line('dst.workload="plain"', f"dst.hbone_addr={authority_of(address, port)}",
                      offset=offset)


class Waypoint(Hops, MeshCase):
    def test_a_workloads_waypoint_gets_what_was_called(self):
        for address, at in zip(self.server.addresses, self.plain.addresses):
            self.lab.announce(self.server, waypoint=by_address(at))
            self.assert_goes_to_waypoint(address, APP_PORT)

    def test_a_services_waypoint_is_found_by_its_address(self):
        for address, at in zip(VIPS, self.plain.addresses):
            self.set_web(waypoint=by_address(at))
            self.assert_goes_to_waypoint(address, 80)

    def test_a_services_waypoint_is_found_by_the_hostname_of_its_service(self):
        self.lab.set_service(NAMESPACE, WAYPOINT, WAYPOINT_VIPS, {HBONE: HBONE})
        self.lab.announce(self.plain, **serves({(NAMESPACE, WAYPOINT): {HBONE: HBONE}}))
        self.set_web(waypoint=by_hostname(NAMESPACE, WAYPOINT))
        for address in VIPS:
            self.assert_goes_to_waypoint(address, 80)

    def test_a_services_waypoint_is_found_by_the_hostname_of_a_workload(self):
        self.lab.announce(self.plain, hostname="waypoint.example.com")
        self.set_web(waypoint=by_hostname(NAMESPACE, "waypoint.example.com"))
        for address in VIPS:
            self.assert_goes_to_waypoint(address, 80)

    def test_a_waypoint_that_nobody_knows_is_a_reset_and_a_reason(self):
        self.set_web(waypoint=by_hostname(NAMESPACE, "nobody.example.com"))
        for address in VIPS:
            offset = len(self.client.node.tunnel.log())
            self.assertNotIn("said", self.client.app("ask", address, 80, "x", check=False).stdout)
            wait_until("the log says why", lambda o=offset: "unknown waypoint"
                       in self.client.node.tunnel.log()[o:])

    def test_a_waypoint_beside_a_tunnel_gets_it_on_the_port_of_its_application_tunnel(self):
        self.lab.announce(self.sandwich, application_tunnel={
            "protocol": Enum("NONE"), "port": TUNNEL_PORT})
        for address, at in zip(self.server.addresses, self.sandwich.addresses):
            self.lab.announce(self.server, waypoint=by_address(at))
            answer = self.ask(address, APP_PORT)
            self.assertIn(answer.strip(), self.sandwiched.log())

    def test_a_waypoint_beside_a_tunnel_is_told_the_rest_by_proxy_protocol(self):
        self.lab.set_service(NAMESPACE, WAYPOINT, WAYPOINT_VIPS, {})
        self.lab.announce(self.sandwich, **serves({(NAMESPACE, WAYPOINT): {}}),
                          application_tunnel={"protocol": Enum("PROXY"), "port": 15089})
        app = isolation.in_netns(self.sandwich.netns,
                                 lambda: socket.create_server(("127.0.0.1", 15089)))
        self.addCleanup(app.close)
        app.settimeout(20)
        self.set_web(waypoint=by_address(WAYPOINT_VIPS[0]))
        with self.client.connect(VIPS[0], 80) as client:
            client.sendall(b"hello")
            served, _ = app.accept()
            with served, served.makefile("rb") as reader:
                header = reader.read(16)
                self.assertEqual(header[:14], SIGNATURE + b"\x21\x11")
                body = reader.read(int.from_bytes(header[14:], "big"))
                self.assertEqual(body[:8], socket.inet_aton(self.client.ip) +
                                 socket.inet_aton(VIPS[0]))
                self.assertEqual(body[10:12], (80).to_bytes(2, "big"))
                spiffe = self.client.spiffe.encode()
                self.assertIn(b"\xd0" + len(spiffe).to_bytes(2, "big") + spiffe, body)
                self.assertEqual(reader.read(5), b"hello")
                served.sendall(b"welcome")
                self.assertEqual(client.recv(100), b"welcome")


class OtherNetwork(Hops, MeshCase):
    """The server is known by the gateway of its network only; the plain pod is the gateway."""

    def set_far(self, gateway):
        self.set_web(subject_alt_names=[self.server.spiffe])
        self.lab.announce(self.plain, network="far")
        self.lab.announce(self.server, network="far", addresses=[], network_gateway=gateway)

    def assert_goes_through(self):
        for address in VIPS:
            offset = len(self.client.node.tunnel.log())
            self.ask(address, 80)
            request = self.gateway.requests[-1]
            self.assertEqual(request[":authority"], f"{SERVICE}:80")
            self.assertEqual(request["peer"], self.client.spiffe)
            self.assertNotIn("x-forwarded-network", request)
            line = self.log_line(f"dst.hbone_addr={SERVICE}:80", 'dst.workload="server"',
                                 f'dst.identity="{self.server.spiffe}"', offset=offset)
            self.assertIn(f":{GATEWAY_PORT} ", line.split("dst.addr=")[1][:60])

    def test_a_gateway_by_address(self):
        self.set_far(by_address(self.plain.ip, GATEWAY_PORT, "far"))
        self.assert_goes_through()

    def test_a_gateway_by_hostname_has_target_ports(self):
        self.lab.set_service(NAMESPACE, GATEWAY, [], {HBONE: GATEWAY_PORT})
        self.set_far(by_hostname(NAMESPACE, GATEWAY, HBONE))
        self.lab.announce(self.plain, **serves({(NAMESPACE, GATEWAY): {HBONE: GATEWAY_PORT}}))
        self.assert_goes_through()

    def test_half_closed_requests_are_exact(self):
        self.set_far(by_address(self.plain.ip, GATEWAY_PORT, "far"))
        self.lab.set_service(NAMESPACE, SERVICE, VIPS, {81: 8081, 82: 8082},
                             subject_alt_names=[self.server.spiffe])
        self.server.serve("hash", 8081)
        self.server.serve("early", 8082)
        self.lab.announce(self.server, **serves({
            (NAMESPACE, SERVICE): {81: 8081, 82: 8082}}))
        done = self.client.app("load", VIPS[0], 81, 82, 60, 10, 7, check=False, seconds=120)
        self.assertIn("60 of 60 requests exact", done.stdout)


if __name__ == "__main__":
    mesh_case.main()
