"""Many requests over one tunnel, many connections at once: every byte arrives, none other, and
afterwards the tunnels hold what they held before."""
import asyncio
import os
import socket

import isolation
import mesh_case
from mesh_case import MeshCase
from meters import descriptors, opened, resident_mib, sockets, still_open
from program import wait_until

REQUESTS, CONCURRENCY = 10000, 40
CONNECTIONS = 2000
ONLY_SYNS = "tcp[tcpflags] & tcp-syn != 0"


class Load(MeshCase):
    # One worker: its pool then needs one tunnel for up to a hundred streams. Unused tunnels go
    # soon, so that what a connection leaves behind can be counted.
    environment = {"ZTUNNEL_WORKER_THREADS": "1", "POOL_UNUSED_RELEASE_TIMEOUT": "2s"}

    @classmethod
    def make_mesh(cls):
        super().make_mesh()
        cls.server.serve("hash", 8081)
        cls.early = cls.server.serve("early", 8082)
        cls.server.serve("hold", 8083)

    def setUp(self):
        self.node_a, self.node_b = self.lab.nodes
        self.tunnels = [n.tunnel for n in self.lab.nodes]
        self.wait_idle()
        self.descriptors_before = [descriptors(t) for t in self.tunnels]
        self.memory = [self.memory_now()]

    def memory_now(self):
        return "/".join(str(resident_mib(t)) for t in self.tunnels)

    def wait_idle(self):
        wait_until("no connection and no tunnel is left", lambda: not any(
            sockets(node, reporter) for node in self.lab.nodes
            for reporter in ("source", "destination")), 60)

    def assert_nothing_held(self):
        self.wait_idle()
        wait_until("the tunnels hold as many descriptors as before", lambda: all(
            descriptors(tunnel) <= before
            for tunnel, before in zip(self.tunnels, self.descriptors_before)))
        self.memory.append(self.memory_now())
        print(f"descriptors of both tunnels: {self.descriptors_before} before, "
              f"{[descriptors(t) for t in self.tunnels]} after; "
              f"resident MiB before, under load, after: {', '.join(self.memory)}")

    def test_ten_thousand_requests_with_half_closes_over_one_tunnel_are_exact(self):
        before = [opened(self.node_a, "source"), opened(self.node_b, "destination")]
        exact_before = self.early.log().count("exact\n")
        capture = self.lab.capture(only=ONLY_SYNS)
        done = self.client.app("load", self.server.ip, 8081, 8082, REQUESTS, CONCURRENCY, 1234,
                               check=False, seconds=900)
        tunnels_left = sockets(self.node_b, "destination")
        self.memory.append(self.memory_now())
        self.lab.stop_capture(capture)
        print(done.stdout.strip())
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertIn(f"{REQUESTS} of {REQUESTS} requests exact", done.stdout)
        wait_until("the server has judged the requests it answered first", lambda: self.early.log()
                   .count("exact\n") - exact_before == REQUESTS // 4)
        self.assertNotIn("differs", self.early.log())
        self.assertEqual(capture.tunnels(self.client, self.server), 1)
        self.assertEqual(tunnels_left, 1)
        self.assertEqual([opened(self.node_a, "source", connection_security_policy="mutual_tls"),
                          opened(self.node_b, "destination",
                                 connection_security_policy="mutual_tls")],
                         [b + REQUESTS for b in before])
        self.assert_nothing_held()

    def test_two_thousand_connections_at_once_each_get_their_own_bytes(self):
        asyncio.run(self.hold_connections())
        self.assert_nothing_held()

    async def hold_connections(self):
        loop = asyncio.get_running_loop()
        handles = isolation.in_netns(self.client.netns, lambda: [
            self.new_socket() for _ in range(CONNECTIONS)])
        gate = asyncio.Semaphore(100)

        async def connect(handle):
            async with gate:
                await asyncio.wait_for(loop.sock_connect(handle, (self.server.ip, 8083)), 60)
                return await self.exchange(loop, handle)
        try:
            self.assertEqual(sum(await asyncio.gather(*map(connect, handles))), CONNECTIONS)
            # All are open from app to app now.
            self.assertEqual(sockets(self.node_a, "source"), CONNECTIONS)
            self.assertEqual([still_open(self.node_a, "source"),
                              still_open(self.node_b, "destination")], [CONNECTIONS] * 2)
            self.memory.append(self.memory_now())
            print(f"{CONNECTIONS} connections open at once over "
                  f"{sockets(self.node_b, 'destination')} tunnels")
            exact = await asyncio.gather(*(self.exchange(loop, h) for h in handles))
            self.assertEqual(sum(exact), CONNECTIONS)
        finally:
            for handle in handles:
                handle.close()

    @staticmethod
    def new_socket():
        handle = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        handle.setblocking(False)
        return handle

    @staticmethod
    async def exchange(loop, handle):
        mine, got = os.urandom(100), b""
        await asyncio.wait_for(loop.sock_sendall(handle, mine), 60)
        while len(got) < len(mine):
            chunk = await asyncio.wait_for(loop.sock_recv(handle, 4096), 60)
            if not chunk:
                break
            got += chunk
        return got == mine


if __name__ == "__main__":
    mesh_case.main()
