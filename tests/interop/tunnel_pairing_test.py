"""ztunnel-lite on one node, the tunnel PEER_TUNNEL names on the other, in both directions.

Agents, control plane and pods are ours. One worker per tunnel, so that each side needs one tunnel
connection for up to a hundred streams.
"""
import asyncio
import os
import socket
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, "mesh"))
# pylint: disable=wrong-import-position
import conformance_waypoint_test as hops
import isolation
import mesh_case
from mesh_case import VIP, VIP6, MeshCase
from wire import HBONE_PORT

STREAMS = 100
ONLY_SYNS = "tcp[tcpflags] & tcp-syn != 0"


def peer_command():
    return [os.environ["PEER_TUNNEL"], "proxy", "ztunnel"]


class Pairing:
    """What holds whichever side the peer is on."""
    environment = {"ZTUNNEL_WORKER_THREADS": "1", "RUST_LOG": "info"}

    @classmethod
    def make_mesh(cls):
        super().make_mesh()
        for pod in (cls.server, cls.plain):
            pod.serve("say", 8080)
        cls.server.serve("hash", 8081)
        cls.server.serve("early", 8082)
        cls.server.serve("hold", 8083)
        cls.server.serve("banner", 2525)

    def assert_tunnelled(self, host, port, sources):
        secret, answer, capture = self.captured_ask(self.client, host, port)
        self.assertIn(answer.strip(), [f"{source} said: {secret}" for source in sources])
        self.assertFalse(capture.contains(secret.encode()), "the payload was on the wire in clear")
        self.assertEqual(capture.ports_between(self.client, self.server), {HBONE_PORT})

    def test_by_pod_ip_and_by_service(self):
        for host, port in ((self.server.ip, 8080), (self.server.ip6, 8080), (VIP, 80), (VIP6, 80)):
            with self.subTest(host=host):
                self.assert_tunnelled(host, port, self.client.addresses)

    def test_unlabelled_pods_are_reached_and_reach_in_clear(self):
        for pod, other in ((self.client, self.plain), (self.plain, self.server)):
            secret = self.secret()
            self.assertEqual(pod.app("ask", other.ip, 8080, secret).stdout.strip(),
                             f"{pod.ip} said: {secret}")

    def test_the_server_may_speak_first(self):
        secret = self.secret()
        answer = self.client.app("greet", self.server.ip, 2525, secret).stdout.splitlines()
        self.assertEqual(answer, [f"220 banner ready for {self.client.ip}", f"250 got {secret}"])

    def test_half_closed_requests_of_random_size_are_exact(self):
        done = self.client.app("load", self.server.ip, 8081, 8082, 1000, 40, 7, check=False,
                               seconds=120)
        self.assertIn("1000 of 1000 requests exact", done.stdout)

    def test_a_hundred_streams_share_one_tunnel(self):
        capture = self.lab.capture(only=ONLY_SYNS)
        self.assertEqual(asyncio.run(self.hold_streams()), STREAMS)
        self.lab.stop_capture(capture)
        self.assertLessEqual(capture.tunnels(self.client, self.server), 1)

    async def hold_streams(self):
        """How many of the connections that are open at once answered with their own bytes."""
        loop = asyncio.get_running_loop()
        sockets = isolation.in_netns(self.client.netns, lambda: [
            socket.socket(socket.AF_INET, socket.SOCK_STREAM) for _ in range(STREAMS)])

        async def open_one(handle):
            handle.setblocking(False)
            await asyncio.wait_for(loop.sock_connect(handle, (self.server.ip, 8083)), 20)

        async def exchange(handle):
            mine = os.urandom(64)
            await loop.sock_sendall(handle, mine)
            return await asyncio.wait_for(loop.sock_recv(handle, 64), 20) == mine
        try:
            for handle in sockets:
                await open_one(handle)
            return sum(await asyncio.gather(*(exchange(s) for s in sockets)))
        finally:
            for handle in sockets:
                handle.close()

    def test_a_tunnel_that_ends_in_order_is_followed_by_its_successor(self):
        for node in reversed(self.lab.nodes):
            with self.subTest(node=node.name):
                self.client.app("ask", self.server.ip, 8080, "before")
                self.assertEqual(node.tunnel.end(), 0)
                node.tunnel.start()
                node.wait_ready()
                self.await_mesh()
                self.assertIn("after", self.client.app("ask", self.server.ip, 8080, "after").stdout)


class PeerIsClient(Pairing, MeshCase):
    @classmethod
    def setUpClass(cls):
        cls.tunnels = (peer_command(), None)
        super().setUpClass()


class PeerIsServer(Pairing, MeshCase):
    @classmethod
    def setUpClass(cls):
        cls.tunnels = (None, peer_command())
        super().setUpClass()


class PeerCallsWaypoints(hops.Waypoint):
    @classmethod
    def setUpClass(cls):
        cls.tunnels = (peer_command(), None)
        super().setUpClass()


class PeerIsBehindWaypoints(hops.Waypoint):
    @classmethod
    def setUpClass(cls):
        cls.tunnels = (None, peer_command())
        super().setUpClass()


class PeerCallsAnotherNetwork(hops.OtherNetwork):
    @classmethod
    def setUpClass(cls):
        cls.tunnels = (peer_command(), None)
        super().setUpClass()


class PeerIsOnAnotherNetwork(hops.OtherNetwork):
    @classmethod
    def setUpClass(cls):
        cls.tunnels = (None, peer_command())
        super().setUpClass()


if __name__ == "__main__":
    mesh_case.main()
