"""SIGTERM to a tunnel: what is open goes on until it ends or the deadline comes, and a successor that
is there in time takes every new connection."""
import json
import signal
import time

import mesh_case
from mesh_case import MeshCase
from program import Program, wait_until
from steady import Steady

PORT = 8083
DEADLINE_SECONDS = 4
PORTS = {"AMBIT_ADMIN_PORT": 16000, "AMBIT_METRICS_PORT": 16020, "AMBIT_READINESS_PORT": 16021}


class Drain(MeshCase):
    differences = {
        "test_at_the_deadline_what_is_left_is_cut": "the peer ends it as if the app had; ours resets",
        "test_a_successor_takes_over_without_a_failed_connection":
            "only ours can move its pages to other ports; upgrade_test.py has a network for each"}
    environment = {"CONNECTION_TERMINATION_DEADLINE": f"{DEADLINE_SECONDS}s"}

    @classmethod
    def make_mesh(cls):
        super().make_mesh()
        cls.server.serve("hold", PORT)

    def setUp(self):
        self.addCleanup(self.mesh_is_whole)

    def mesh_is_whole(self):
        """Every node has its first tunnel, and no other."""
        for node in self.lab.nodes:
            if not node.tunnel.running():
                node.tunnel.start()
            node.wait_ready()
        for pod in (self.client, self.server):
            self.lab.wait_captured(pod)

    def talk(self, connection, text=b"still here"):
        connection.sendall(text)
        self.assertEqual(connection.recv(100), text)

    def listeners_gone(self, pod):
        ports = pod.run("ss", "-Hltn").stdout
        return ":15001 " not in ports and ":15008 " not in ports

    def assert_drains(self, node, pod):
        """An open connection goes on, no new one is taken, and the end comes with its end."""
        with self.client.connect(self.server.ip, PORT) as connection:
            self.talk(connection)
            node.tunnel.process.send_signal(signal.SIGTERM)
            wait_until("the tunnel takes no new connection", lambda: self.listeners_gone(pod))
            with self.assertRaises(ConnectionError), \
                    self.client.connect(self.server.ip, PORT) as another:
                self.talk(another)
            self.talk(connection)
            self.assertTrue(node.tunnel.running())
        began = time.monotonic()
        self.assertEqual(node.tunnel.process.wait(20), 0)
        seconds = time.monotonic() - began
        print(f"{node.tunnel.name}: ended {seconds:.2f} s after its last connection")
        self.assertLess(seconds, DEADLINE_SECONDS)

    def test_the_clients_tunnel_lets_open_connections_go_on(self):
        self.assert_drains(self.lab.nodes[0], self.client)

    def test_the_servers_tunnel_lets_open_connections_go_on(self):
        self.assert_drains(self.lab.nodes[1], self.server)

    def test_at_the_deadline_what_is_left_is_cut(self):
        tunnel = self.lab.nodes[0].tunnel
        with self.client.connect(self.server.ip, PORT) as connection:
            self.talk(connection)
            began = time.monotonic()
            self.assertEqual(tunnel.end(seconds=DEADLINE_SECONDS + 10), 0)
            seconds = time.monotonic() - began
            with self.assertRaises(ConnectionResetError):
                connection.recv(100)
        self.assertGreater(seconds, DEADLINE_SECONDS - 0.5)
        self.assertIn("closed due to drain", tunnel.log())

    def test_being_told_again_changes_nothing(self):
        process = self.lab.nodes[0].tunnel.process
        while process.poll() is None:
            process.send_signal(signal.SIGTERM)
        self.assertEqual(process.returncode, 0)

    def successor(self, node):
        """A second tunnel of the node, which serves the same pods."""
        old = node.tunnel
        program = Program(f"successor-{node.name}", old.arguments, self.lab.log_folder, node.netns,
                          {**old.environment, **{k: str(v) for k, v in PORTS.items()}}).start()
        self.lab.programs.append(program)

        def serves(pod):
            try:
                dump = json.loads(node.get(PORTS["AMBIT_ADMIN_PORT"], "/config_dump")[1])
            except OSError:
                return False
            return dump["workloadState"].get(pod.uid, {}).get("state") == "Up"
        for pod in (self.client, self.server):
            if pod.node is node:
                wait_until(f"the successor serves {pod.name}", lambda p=pod: serves(p))
        return program

    def test_a_successor_takes_over_without_a_failed_connection(self):
        traffic = Steady(self.client, self.server, PORT)
        self.addCleanup(traffic.end)
        traffic.wait_more(5)
        for node in self.lab.nodes:
            successor = self.successor(node)
            began = time.monotonic()
            node.tunnel.process.send_signal(signal.SIGTERM)
            self.assertEqual(node.tunnel.process.wait(20), 0)
            seconds = time.monotonic() - began
            traffic.wait_more(20)
            print(f"{node.name}: the old tunnel ended after {seconds:.2f} s; {traffic}")
            node.tunnel.start()
            node.wait_ready()
            for pod in (self.client, self.server):
                self.lab.wait_captured(pod)
            self.assertEqual(successor.end(), 0)
        traffic.wait_more(5)
        traffic.end()
        print(f"both nodes, there and back: {traffic}")
        self.assertEqual(traffic.failed, [])
        # The long connection, once per tunnel it went through and that ended.
        self.assertLessEqual(traffic.breaks, 4)


if __name__ == "__main__":
    mesh_case.main()
