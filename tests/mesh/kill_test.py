"""kill -9 of the tunnel, the agent and the control plane under traffic: what recovers, how fast,
and that no labelled pod ever speaks in clear to another."""
import time

import mesh_case
from lab import AMBIENT
from mesh_case import MeshCase
from program import wait_until
from steady import TEXT, Steady
from wire import HBONE_PORT


class Kill(MeshCase):
    differences = {"the words of an attempt": "the log says in ours what has ended"}

    @classmethod
    def make_mesh(cls):
        super().make_mesh()
        cls.server.serve("hold", 8083)

    def setUp(self):
        self.capture = self.lab.capture()
        self.traffic = Steady(self.client, self.server, 8083)
        self.addCleanup(self.traffic.end)
        self.traffic.wait_more(5)

    def finish(self, what):
        """Ends the traffic; says what happened; checks the wire."""
        self.traffic.wait_more(5)
        self.traffic.end()
        self.lab.stop_capture(self.capture)
        print(f"{what}: {self.traffic}")
        between = self.capture.between(set(self.client.addresses), set(self.server.addresses))
        self.assertTrue(between)
        self.assertEqual(self.capture.ports_between(self.client, self.server), {HBONE_PORT})
        self.assertFalse(self.capture.contains(TEXT))

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
        self.traffic.wait_more(20)
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
        self.assertEqual(self.traffic.troubles, 0)
        self.finish("the agent")
        self.lab.remove_pod(labelled)

    def test_the_control_plane_is_killed_and_traffic_does_not_notice(self):
        self.lab.control.kill()
        self.traffic.wait_more(20)
        self.lab.start_control()
        started = time.monotonic()
        late = self.lab.add_pod("later", self.lab.nodes[1], labels=AMBIENT)
        self.lab.wait_protocol(late, "HBONE", seconds=60)
        print(f"the control plane killed and started: a new pod is known to both tunnels after "
              f"{time.monotonic() - started:.2f} s")
        late.serve("say", 8080)
        self.assertIn("again", self.client.app("ask", late.ip, 8080, "again").stdout)
        self.assertEqual(self.traffic.troubles, 0)
        self.finish("the control plane")
        self.lab.remove_pod(late)

    def test_a_tunnel_that_starts_without_a_control_plane_serves_once_that_is_back(self):
        tunnel = self.lab.nodes[0].tunnel
        self.lab.control.kill()
        tunnel.kill()
        before = len(tunnel.log())
        tunnel.start()
        if not self.peer_differs("the words of an attempt"):
            wait_until("the tunnel has tried more than once", lambda: tunnel.log()[before:].count(
                "connection to the control plane ended") > 1)
        self.assertFalse(self.lab.nodes[0].tunnel_ready())
        away = time.monotonic()
        answered = len(self.traffic.answered)
        self.lab.start_control()
        started = time.monotonic()
        self.lab.nodes[0].wait_ready()
        self.lab.wait_captured(self.client)
        self.traffic.wait_more(1)
        print(f"control plane back: first new connection after "
              f"{self.traffic.answered[answered] - started:.2f} s")
        self.assertGreater(self.traffic.answered[answered], away, "served without knowing the mesh")
        self.finish("the control plane and a tunnel")

    def test_everything_is_killed_at_once(self):
        node_a, node_b = self.lab.nodes
        programs = [node_a.tunnel, node_b.tunnel, node_a.agent, node_b.agent, self.lab.control]
        for program in programs:
            program.kill()
        started = time.monotonic()
        for program in programs:
            program.start()
        for node in self.lab.nodes:
            node.wait_ready(60)
        wait_until("a new connection is answered",
                   lambda: self.traffic.answered_after(started), 60)
        print(f"everything killed and started: first new connection after "
              f"{self.traffic.answered_after(started) - started:.2f} s")
        self.finish("everything")


if __name__ == "__main__":
    mesh_case.main()
