"""Start and end: of a tunnel, and of what it does for one pod.

Runs with another tunnel, too: AMBIT_TUNNEL_UNDER_TEST.
"""
import http.client
import json
import signal
import socket
import time

import isolation
import mesh_case
from lab import AMBIENT
from mesh_case import MeshCase
from program import Program, wait_until
from source_lab import SourceLab

PORT = 8083
DEADLINE_SECONDS = 30  # far beyond what an end without connections takes, also on a slow machine


class Life(MeshCase):
    lab_class = SourceLab
    environment = {"CONNECTION_TERMINATION_DEADLINE": f"{DEADLINE_SECONDS}s"}

    @classmethod
    def make_mesh(cls):
        cls.make_pods()
        cls.await_pods()
        cls.server.serve("hold", PORT)

    def talk(self, connection):
        connection.sendall(b"x")
        self.assertEqual(connection.recv(10), b"x")

    def assert_ends(self, connection):
        try:
            self.assertEqual(connection.recv(10), b"")
        except ConnectionResetError:
            pass

    def restart(self, node):
        node.tunnel.start()
        node.wait_ready()
        for pod in (self.client, self.server):
            self.lab.wait_captured(pod)

    def test_a_port_of_the_process_that_is_taken_fails_the_start(self):
        node = self.lab.nodes[0]
        second = Program("second", node.tunnel.arguments, self.lab.log_folder, node.netns,
                         node.tunnel.environment).start()
        self.lab.programs.append(second)
        self.assertNotEqual(second.process.wait(30), 0)
        self.assertTrue(node.tunnel_ready(), "the first one is not disturbed")

    def test_a_port_of_the_pod_that_is_taken_fails_its_start_until_it_is_free(self):
        node = self.lab.nodes[0]
        for number, port in enumerate((15008, 15006, 15001)):
            pod = self.lab.make_pod(f"taken-{number}", node, labels=AMBIENT)
            with pod.socket(socket.AF_INET6) as taken:
                taken.bind(("::", port))
                taken.listen()
                failed = node.cnitool("add", pod, check=False)
                self.assertNotEqual(failed.returncode, 0, port)
                node.cnitool("del", pod)
            self.lab.cni_add(pod)
            self.lab.wait_captured(pod)
            self.lab.remove_pod(pod)

    def test_quitquitquit_ends_the_process_cleanly(self):
        node = self.lab.nodes[0]
        for method, status in (("GET", 405), ("POST", 200)):
            connection = isolation.in_netns(node.netns, self.admin_connection)
            connection.request(method, "/quitquitquit")
            self.assertEqual(connection.getresponse().status, status)
            connection.close()
        began = time.monotonic()
        self.assertEqual(node.tunnel.process.wait(60), 0)
        self.assertLess(time.monotonic() - began, DEADLINE_SECONDS / 2)
        self.restart(node)

    @staticmethod
    def admin_connection():
        connection = http.client.HTTPConnection("127.0.0.1", 15000, timeout=20)
        connection.connect()
        return connection

    def test_an_open_connection_goes_on_after_sigterm_and_its_end_is_the_processes_end(self):
        for node, pod, address in ((self.lab.nodes[0], self.client, self.server.ip),
                                   (self.lab.nodes[1], self.server, self.server.ip6)):
            with self.client.connect(address, PORT) as connection:
                self.talk(connection)
                node.tunnel.process.send_signal(signal.SIGTERM)
                wait_until("nothing new is taken", lambda p=pod: ":15001 " not in p.run(
                    "ss", "-Hltn").stdout)
                self.talk(connection)
                with self.assertRaises(ConnectionError), \
                        self.client.connect(address, PORT) as another:
                    another.sendall(b"x")
                    if not another.recv(10):
                        raise ConnectionError("ended without a byte")
            began = time.monotonic()
            self.assertEqual(node.tunnel.process.wait(60), 0)
            self.assertLess(time.monotonic() - began, DEADLINE_SECONDS / 2)
            self.restart(node)

    def assert_gets_nothing(self, address):
        """The client's own tunnel accepts and then resets, maybe before connect() returns."""
        try:
            with self.client.connect(address, PORT) as connection:
                connection.sendall(b"x")
                self.assert_ends(connection)
        except ConnectionError:
            pass

    def test_without_a_tunnels_proxy_a_pod_keeps_no_connection_and_gets_none(self):
        pod = self.lab.add_pod("leaves", self.lab.nodes[1], labels=AMBIENT)
        self.lab.wait_captured(pod)
        pod.serve("hold", PORT)
        held = [self.client.connect(address, PORT) for address in pod.addresses]
        for connection in held:
            self.addCleanup(connection.close)
            self.talk(connection)
        pod.label({})  # the control plane goes on to say that it speaks HBONE
        for connection in held:
            self.assert_ends(connection)
        for address in pod.addresses:
            self.assert_gets_nothing(address)
        self.lab.remove_pod(pod)

    def test_a_pod_comes_goes_and_comes_again(self):
        node = self.lab.nodes[0]
        pod = self.lab.make_pod("again", node, labels=AMBIENT)
        for _ in range(3):
            self.lab.cni_add(pod)
            self.lab.wait_captured(pod)
            with pod.connect(self.server.ip, PORT) as connection:
                self.talk(connection)
            node.cnitool("del", pod)
            self.lab.wait_captured(pod, captured=False)
        self.lab.cni_add(pod)
        self.lab.remove_pod(pod)

    def test_a_tunnel_that_was_killed_serves_the_same_pods_again(self):
        for node in self.lab.nodes:
            node.tunnel.kill()
            self.restart(node)
            for address in self.server.addresses:
                with self.client.connect(address, PORT) as connection:
                    self.talk(connection)

    def test_the_agents_end_disturbs_no_connection_and_only_readiness_says_it(self):
        node = self.lab.nodes[0]
        with self.client.connect(self.server.ip, PORT) as connection:
            self.talk(connection)
            node.agent.kill()
            wait_until("the tunnel is not ready", lambda: not node.tunnel_ready())
            status, text = node.get(15021, "/healthz/ready")
            self.assertEqual(status, 500)
            self.assertIn("workload proxy manager", text)
            self.talk(connection)
            with self.client.connect(self.server.ip6, PORT) as another:
                self.talk(another)
            node.agent.start()
            node.wait_ready()
            self.talk(connection)
        state = json.loads(node.get(15000, "/config_dump")[1])["workloadState"]
        self.assertEqual(state[self.client.uid]["state"], "Up")


if __name__ == "__main__":
    mesh_case.main()
