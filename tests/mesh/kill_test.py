"""kill -9 of the tunnel, the agent and the control plane under traffic: what recovers, how fast,
and that no labelled pod ever speaks in clear to another."""
import threading
import time

import mesh_case
from lab import AMBIENT
from mesh_case import MeshCase
from program import wait_until
from wire import HBONE_PORT


class Traffic:
    """New connections one after the other, and one long connection, until end()."""

    def __init__(self, pod, server):
        self.pod, self.server = pod, server
        self.answered, self.failed = [], []  # times
        self.breaks = 0
        self._ending = threading.Event()
        self._threads = [threading.Thread(target=self._short), threading.Thread(target=self._long)]
        for thread in self._threads:
            thread.start()

    def _exchange(self, connection, text):
        connection.sendall(text)
        if connection.recv(100) != text:
            raise ConnectionError("another answer")

    def _short(self):
        while not self._ending.wait(0.02):
            try:
                with self.pod.connect(self.server.ip, 8083, seconds=5) as connection:
                    self._exchange(connection, b"in clear?")
                self.answered.append(time.monotonic())
            except OSError:
                self.failed.append(time.monotonic())

    def _long(self):
        connection = None
        while not self._ending.wait(0.02):
            try:
                connection = connection or self.pod.connect(self.server.ip, 8083, seconds=5)
                self._exchange(connection, b"long in clear?")
            except OSError:
                self.breaks += 1
                if connection:
                    connection.close()
                connection = None
        if connection:
            connection.close()

    def answered_after(self, moment):
        return next((t for t in self.answered if t > moment), None)

    def end(self):
        self._ending.set()
        for thread in self._threads:
            thread.join()


class Kill(MeshCase):
    @classmethod
    def make_mesh(cls):
        super().make_mesh()
        cls.server.serve("hold", 8083)

    def setUp(self):
        self.capture = self.lab.capture()
        self.traffic = Traffic(self.client, self.server)
        self.addCleanup(self.traffic.end)
        wait_until("traffic flows", lambda: len(self.traffic.answered) > 5)

    def finish(self, what):
        """Ends the traffic; says what happened; checks the wire."""
        moment = time.monotonic()
        wait_until("traffic flows again", lambda: len(
            [t for t in self.traffic.answered if t > moment]) > 5)
        self.traffic.end()
        self.lab.stop_capture(self.capture)
        print(f"{what}: {len(self.traffic.answered)} new connections answered, "
              f"{len(self.traffic.failed)} failed, {self.traffic.breaks} long connections broken")
        between = self.capture.between(set(self.client.addresses), set(self.server.addresses))
        self.assertTrue(between)
        self.assertEqual(self.capture.ports_between(self.client, self.server), {HBONE_PORT})
        self.assertFalse(self.capture.contains(b"in clear?"))

    def kill_tunnel(self, node, what):
        node.tunnel.kill()
        started = time.monotonic()
        node.tunnel.start()
        node.wait_ready()
        self.lab.wait_captured(self.client)
        self.lab.wait_captured(self.server)
        ready = time.monotonic()
        wait_until("a new connection is answered",
                   lambda: self.traffic.answered_after(started))
        print(f"{what} killed and started: ready after {ready - started:.2f} s, first new "
              f"connection after {self.traffic.answered_after(started) - started:.2f} s")
        self.finish(what)

    def test_the_clients_tunnel_is_killed(self):
        self.kill_tunnel(self.lab.nodes[0], "the client's tunnel")

    def test_the_servers_tunnel_is_killed(self):
        self.kill_tunnel(self.lab.nodes[1], "the server's tunnel")

    def test_the_agent_is_killed_and_traffic_does_not_notice(self):
        node = self.lab.nodes[0]
        node.agent.kill()
        killed = time.monotonic()
        wait_until("new connections are answered without an agent", lambda: len(
            [t for t in self.traffic.answered if t > killed]) > 20)
        labelled = self.lab.make_pod("late", node, labels=AMBIENT)
        refused = node.cnitool("add", labelled, check=False)
        self.assertNotEqual(refused.returncode, 0, "a labelled pod started without an agent")
        node.cnitool("del", labelled)
        started = time.monotonic()
        node.agent.start()
        node.wait_ready()
        self.lab.wait_captured(self.client)
        ready = time.monotonic()
        self.lab.cni_add(labelled)
        print(f"the agent killed and started: its tunnel is ready again after "
              f"{ready - started:.2f} s, the next ADD works")
        self.assertEqual((len(self.traffic.failed), self.traffic.breaks), (0, 0))
        self.finish("the agent")
        self.lab.remove_pod(labelled)

    def test_the_control_plane_is_killed_and_traffic_does_not_notice(self):
        self.lab.control.kill()
        killed = time.monotonic()
        wait_until("new connections are answered without a control plane", lambda: len(
            [t for t in self.traffic.answered if t > killed]) > 20)
        self.lab.start_control()
        started = time.monotonic()
        late = self.lab.add_pod("later", self.lab.nodes[1], labels=AMBIENT)
        self.lab.wait_protocol(late, "HBONE", seconds=60)
        print(f"the control plane killed and started: a new pod is known to both tunnels after "
              f"{time.monotonic() - started:.2f} s")
        late.serve("say", 8080)
        self.assertIn("again", self.client.app("ask", late.ip, 8080, "again").stdout)
        self.assertEqual((len(self.traffic.failed), self.traffic.breaks), (0, 0))
        self.finish("the control plane")
        self.lab.remove_pod(late)


if __name__ == "__main__":
    mesh_case.main()
