"""Many requests over one tunnel, many connections at once: every byte arrives, none other."""
import asyncio
import os
import socket

import isolation
import mesh_case
from mesh_case import MeshCase

REQUESTS, CONCURRENCY = 10000, 40
CONNECTIONS = 2000
ONLY_SYNS = "tcp[tcpflags] & tcp-syn != 0"


class Load(MeshCase):
    # One worker: its pool then needs one tunnel for up to a hundred streams.
    environment = {"ZTUNNEL_WORKER_THREADS": "1"}

    @classmethod
    def make_mesh(cls):
        super().make_mesh()
        cls.server.serve("hash", 8081)
        cls.server.serve("hold", 8083)

    def test_ten_thousand_requests_with_half_closes_over_one_tunnel_are_exact(self):
        capture = self.lab.capture(only=ONLY_SYNS)
        done = self.client.app("load", self.server.ip, 8081, REQUESTS, CONCURRENCY, 1234,
                               check=False, seconds=900)
        self.lab.stop_capture(capture)
        print(done.stdout.strip())
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertIn(f"{REQUESTS} of {REQUESTS} requests exact", done.stdout)
        self.assertEqual(capture.tunnels(self.client, self.server), 1)

    def test_two_thousand_connections_at_once_each_get_their_own_bytes(self):
        exact = asyncio.run(self.hold_connections())
        self.assertEqual(exact, CONNECTIONS)

    async def hold_connections(self):
        loop = asyncio.get_running_loop()
        sockets = isolation.in_netns(self.client.netns, lambda: [
            self.new_socket() for _ in range(CONNECTIONS)])
        gate = asyncio.Semaphore(100)

        async def connect(handle):
            async with gate:
                await asyncio.wait_for(loop.sock_connect(handle, (self.server.ip, 8083)), 60)
        try:
            await asyncio.gather(*(connect(s) for s in sockets))
            # All are open now; each exchanges its own bytes.
            return sum(await asyncio.gather(*(self.exchange(loop, s) for s in sockets)))
        finally:
            for handle in sockets:
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
