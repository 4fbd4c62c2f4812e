"""A real Envoy, named by PEER_ENVOY: as client of a captured pod, and as waypoint in between."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, "mesh"))
# pylint: disable=wrong-import-position
import envoy
import mesh_case
from certificates import Authority
from mesh_case import VIP, VIP6, MeshCase
from mesh_objects import Enum, by_address, one_rule, serves
from program import Program, wait_until
from source_lab import SourceLab
from wire import HBONE_PORT

HOST = "server.demo.svc.cluster.local"
CLIENT_PORT, HASH_PORT = 7001, 7002


class EnvoyCase(MeshCase):
    lab_class = SourceLab

    @classmethod
    def make_mesh(cls):
        cls.make_pods()
        cls.mesh = Authority(os.path.join(cls.lab.folder, "mesh-ca"), cls.lab.root_key(),
                             cls.lab.root_certificate)
        cls.server.serve("say", 8080)
        cls.server.serve("hash", 8081)
        cls.server.serve("early", 8082)
        cls.await_pods()

    @classmethod
    def start_envoy(cls, pod, name, configuration, port):
        command = envoy.write(cls.lab.folder, name, configuration)
        program = Program(f"envoy-{name}", command, cls.lab.log_folder, pod.netns).start()
        cls.lab.programs.append(program)

        def listens():
            if not program.running():
                raise AssertionError(program.log()[-2000:])
            try:
                pod.connect("127.0.0.1", port).close()
                return True
            except ConnectionRefusedError:
                return False
        wait_until(f"Envoy {name} listens", listens)


class EnvoyIsClient(EnvoyCase):
    @classmethod
    def make_mesh(cls):
        super().make_mesh()
        certificate = cls.mesh.leaf(f"URI:{cls.client.spiffe}")
        for port, target in ((CLIENT_PORT, 8080), (HASH_PORT, 8081), (HASH_PORT + 1, 8082)):
            cls.start_envoy(cls.plain, f"client-{target}", envoy.client(
                port, cls.server, f"{cls.server.ip}:{target}", certificate,
                cls.lab.root_certificate), port)

    def ask(self, check=True):
        secret = self.secret()
        return secret, self.plain.app("ask", "127.0.0.1", CLIENT_PORT, secret, check=check)

    def test_it_reaches_the_app_which_sees_its_address(self):
        secret, done = self.ask()
        self.assertEqual(done.stdout.strip(), f"{self.plain.ip} said: {secret}")

    def test_half_closed_requests_of_random_size_are_exact(self):
        done = self.plain.app("load", "127.0.0.1", HASH_PORT, HASH_PORT + 1, 500, 40, 7,
                              check=False, seconds=120)
        self.assertIn("500 of 500 requests exact", done.stdout)

    def test_a_policy_against_its_identity_holds(self):
        self.lab.set_policy("demo", "no-client", "DENY", one_rule(principals=[
            {"exact": self.client.spiffe.removeprefix("spiffe://")}]))
        self.assertNotEqual(self.ask(check=False)[1].returncode, 0)
        self.lab.remove_policy("demo", "no-client")
        secret, done = self.ask()
        self.assertIn(secret, done.stdout)

    def test_a_tunnel_that_ends_in_order_is_followed_by_its_successor(self):
        node = self.server.node
        self.assertIn("said", self.ask()[1].stdout)
        self.assertEqual(node.tunnel.end(), 0)
        node.tunnel.start()
        node.wait_ready()
        self.await_pods()
        self.assertIn("said", self.ask()[1].stdout)


class EnvoyIsWaypoint(EnvoyCase):
    @classmethod
    def make_mesh(cls):
        super().make_mesh()
        cls.waypoint = cls.lab.add_pod("waypoint", cls.lab.nodes[1], labels={"app": "waypoint"},
                                       service_account="waypoint")
        cls.lab.announce(cls.waypoint, tunnel_protocol=Enum("HBONE"))
        cls.start_envoy(cls.waypoint, "waypoint", envoy.waypoint(
            cls.server, f"{cls.server.ip}:8080", cls.mesh.leaf(f"URI:{cls.waypoint.spiffe}"),
            cls.lab.root_certificate), HBONE_PORT)
        cls.lab.announce(cls.server, **serves({("demo", HOST): {80: 8080}}))

    def ask_through(self, host, port):
        secret, answer, capture = self.captured_ask(self.client, host, port)
        self.assertIn(answer.strip(), [f"{ip} said: {secret}" for ip in self.waypoint.addresses])
        self.assertFalse(capture.contains(secret.encode()), "the payload was on the wire in clear")
        line = wait_until("the client's tunnel logs it", lambda: [
            row for row in self.client.node.tunnel.log().splitlines()
            if "connection complete" in row and f'dst.hbone_addr={self.authority(host, port)}'
            in row])[-1]
        self.assertIn('dst.workload="waypoint"', line)
        self.assertIn(f'dst.identity="{self.waypoint.spiffe}"', line)
        inbound = wait_until("the server's tunnel logs it", lambda: [
            row for row in self.server.node.tunnel.log().splitlines()
            if "connection complete" in row and 'direction="inbound"' in row])[-1]
        self.assertIn(f'src.identity="{self.waypoint.spiffe}"', inbound)

    @staticmethod
    def authority(host, port):
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def test_of_a_service(self):
        for address in self.waypoint.addresses:
            self.lab.set_service("demo", HOST, [VIP, VIP6], {80: 8080},
                                 waypoint=by_address(address))
            for host in (VIP, VIP6):
                with self.subTest(host=host, waypoint=address):
                    self.ask_through(host, 80)

    def test_of_a_workload(self):
        self.lab.announce(self.server, waypoint=by_address(self.waypoint.ip))
        for host in self.server.addresses:
            with self.subTest(host=host):
                self.ask_through(host, 8080)


if __name__ == "__main__":
    mesh_case.main()
