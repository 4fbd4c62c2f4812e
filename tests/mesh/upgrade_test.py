"""A tunnel is replaced under load: its successor stands beside it, in a network of its own as a
surging DaemonSet's pod does, and takes every new connection; what is open goes on to the deadline.

AMBIT_UPGRADE_LOAD="200 0.05 100" sets how many long connections there are, the seconds between two
bytes of each, and how many new ones a second; without it there are fewer exchanges, as a build with
sanitizers can carry.
"""
import json
import os
import signal
import time

import mesh_case
from mesh_case import MeshCase
from node import ROOT, http_get
from program import Program, wait_until

PORT = 8090
DEADLINE_SECONDS = 5.0
LONG, INTERVAL, RATE = (os.environ.get("AMBIT_UPGRADE_LOAD") or "200 0.5 40").split()
LOAD = os.path.join(ROOT, "tests", "mesh", "upgrade_load.py")


class Upgrade(MeshCase):
    differences = {"new connections are lost": "the peer closes its listeners without taking what is "
                                               "queued there; ours takes it, and the kernel hands "
                                               "handshakes under way to the successor"}
    environment = {"CONNECTION_TERMINATION_DEADLINE": f"{DEADLINE_SECONDS:g}s"}

    @classmethod
    def make_mesh(cls):
        super().make_mesh()
        cls.start(cls.server, "upgrade-server", "serve", str(PORT)).wait_log("listening on")

    @classmethod
    def start(cls, pod, name, *arguments):
        program = Program(name, ["python3", "-B", LOAD, *arguments], cls.lab.log_folder,
                          pod.netns).start()
        cls.lab.programs.append(program)
        return program

    def start_load(self, address):
        load = self.start(self.client, f"load-{self.id().rpartition('.')[2]}", "load", address,
                          str(PORT), LONG, INTERVAL, RATE)
        load.wait_log("long connections are open", 60)
        return load

    def end_load(self, load):
        self.assertEqual(load.end(seconds=60), 0, load.log())
        return json.loads(load.log().splitlines()[-1])

    def await_exchange(self):
        """A connection of its own is answered: the load's new ones are, meanwhile."""
        with self.client.connect(self.server.ip, PORT) as connection:
            connection.sendall(b"x")
            self.assertEqual(connection.recv(1), b"x")

    def replace(self, node):
        """(seconds until the successor was ready, when the old one was told, seconds it took)."""
        old, began = node.tunnel, time.monotonic()
        node.tunnel = successor = self.lab.add_successor(node)
        wait_until("the successor is ready", lambda: self.ready(successor), 60)
        ready = time.monotonic() - began
        told = time.time()
        old.process.send_signal(signal.SIGTERM)
        self.assertEqual(old.process.wait(DEADLINE_SECONDS + 30), 0)
        return ready, told, time.time() - told

    def ready(self, program):
        self.assertTrue(program.running(), program.log()[-2000:])
        try:
            return http_get(program.netns, 15021, "/healthz/ready")[0] == 200
        except OSError:
            return False

    def assert_upgrades(self, node, address):
        load = self.start_load(address)
        ready, told, seconds = self.replace(node)
        for _ in range(20):
            self.await_exchange()
        result = self.end_load(load)
        early = [t - told for t in result["lost"] if t - told < DEADLINE_SECONDS - 0.1]
        print(f"{node.name}: successor ready after {ready:.2f} s, the old tunnel ended after "
              f"{seconds:.2f} s; {result['answered']} new connections answered, the slowest after "
              f"{result['slowest'] * 1000:.0f} ms, {len(result['failed'])} failed; "
              f"{len(result['lost'])} of {LONG} long ones lost, {len(early)} of them before the "
              f"deadline; {result['exchanged']} bytes exchanged")
        failed = [(round(t - told, 3), text) for t, text in result["failed"]]
        self.assertEqual(early, [])
        if failed and self.peer_differs("new connections are lost"):
            return
        self.assertEqual(failed, [])
        self.assertGreater(result["answered"], 0)

    def test_the_clients_tunnel_is_replaced_and_no_new_connection_notices(self):
        self.assert_upgrades(self.lab.nodes[0], self.server.ip)

    def test_the_servers_tunnel_is_replaced_and_no_new_connection_notices(self):
        self.assert_upgrades(self.lab.nodes[1], self.server.ip)

    def test_the_clients_tunnel_is_replaced_under_connections_over_ipv6(self):
        self.assert_upgrades(self.lab.nodes[0], self.server.ip6)

    def test_the_servers_tunnel_is_replaced_under_connections_over_ipv6(self):
        self.assert_upgrades(self.lab.nodes[1], self.server.ip6)


if __name__ == "__main__":
    mesh_case.main()
