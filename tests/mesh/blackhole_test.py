"""A peer that swallows every packet: its connections end by their deadline and the log says why;
nobody else notices."""
import json
import threading
import time

import mesh_case
from lab import AMBIENT
from mesh_case import MeshCase
from program import run, wait_until
from steady import Steady

CONNECT_SECONDS, ANSWER_SECONDS = 4, 5
PING_SECONDS = 30  # 10 s until a PING is sent, 20 s for its answer
SLACK_SECONDS = 6  # a loaded machine, sanitizers
MANY = 250
PORT = 8083
EITHER_VIP = "10.96.0.20"  # of a service whose endpoints are the server and the hole


class BlackHole(MeshCase):
    differences = {
        "test_a_hole_before_there_is_a_tunnel": "the peer's deadlines are its own, and others wait "
                                                "behind the hole",
        "test_a_hole_behind_a_tunnel_that_works": "the peer waits for an answer without a deadline",
        "test_a_hole_among_the_endpoints_of_a_service": "the peer tries one endpoint only"}
    environment = {"AMBIT_CONNECT_TIMEOUT": f"{CONNECT_SECONDS}s",
                   "AMBIT_RESPONSE_TIMEOUT": f"{ANSWER_SECONDS}s"}

    @classmethod
    def make_mesh(cls):
        super().make_mesh()
        cls.server.serve("hold", PORT)
        cls.holes = {}
        for name in ("hole-before", "hole-after", "hole-among"):
            hole = cls.lab.add_pod(name, cls.lab.nodes[1], labels={"app": name, **AMBIENT},
                                   service_account=name)
            cls.lab.wait_protocol(hole, "HBONE")
            hole.serve("hold", PORT)
            cls.holes[name] = hole

    def setUp(self):
        self.node_a, self.node_b = self.lab.nodes
        self.others = Steady(self.client, self.server, PORT)
        self.addCleanup(self.others.end)
        self.others.wait_more(5)
        self.addCleanup(run, ["nft", "delete", "table", "inet", "hole"], netns=self.node_b.netns,
                        check=False)

    def swallow(self, pod):
        """From now on the pod's node forwards nothing to or from it."""
        run(["nft", "add table inet hole;"
             "add chain inet hole forward { type filter hook forward priority 0; };"
             f"add rule inet hole forward ip daddr {pod.ip} drop;"
             f"add rule inet hole forward ip saddr {pod.ip} drop"], netns=self.node_b.netns)

    def release(self):
        run(["nft", "delete", "table", "inet", "hole"], netns=self.node_b.netns)

    def ended(self, connection):
        """How the connection ended: 'reset', 'end', 'timeout', or what came."""
        try:
            return connection.recv(100) or "end"
        except ConnectionResetError:
            return "reset"
        except TimeoutError:
            return "timeout"

    def connect_many(self, address, count, seconds):
        """Opens that many connections at once and sends a byte on each; what each got, and when the
        last one did."""
        began, ends, lock = time.monotonic(), [], threading.Lock()

        def one():
            try:
                with self.client.connect(address, PORT, seconds) as connection:
                    connection.sendall(b"x")
                    end = self.ended(connection)
            except OSError as error:
                end = type(error).__name__
            with lock:
                ends.append(end)
        threads = [threading.Thread(target=one) for _ in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return ends, time.monotonic() - began

    def lines(self, tunnel, *texts):
        return [line for line in tunnel.log().splitlines() if all(t in line for t in texts)]

    def assert_nobody_else_noticed(self, what):
        self.others.wait_more(5)
        self.others.end()
        print(f"{what}; meanwhile with another pod: {self.others}")
        self.assertEqual(self.others.troubles, 0)
        self.assertLess(self.others.slowest, CONNECT_SECONDS / 2)

    def test_a_hole_before_there_is_a_tunnel(self):
        hole = self.holes["hole-before"]
        self.swallow(hole)
        ends, seconds = self.connect_many(hole.ip, MANY, CONNECT_SECONDS + SLACK_SECONDS)
        self.assertEqual(set(ends), {"reset"})
        self.assertGreater(seconds, CONNECT_SECONDS - 1)
        wait_until("each connection's end is logged with its reason", lambda: len(self.lines(
            self.node_a.tunnel, "connection complete", "timed out",
            f"connect to {hole.ip}:15008", "a NetworkPolicy may block")) == MANY)
        self.assert_nobody_else_noticed(f"{MANY} connections to a hole ended after {seconds:.1f} s")
        self.release()
        self.assert_works(hole)

    def test_a_hole_behind_a_tunnel_that_works(self):
        hole = self.holes["hole-after"]
        with self.client.connect(hole.ip, PORT, PING_SECONDS + SLACK_SECONDS) as idle, \
                self.client.connect(hole.ip, PORT, PING_SECONDS + SLACK_SECONDS) as full:
            for connection in (idle, full):
                connection.sendall(b"x")
                self.assertEqual(connection.recv(100), b"x")
            self.swallow(hole)
            began = time.monotonic()
            sent = self.fill(full)
            ends, seconds = self.connect_many(hole.ip, MANY, ANSWER_SECONDS + SLACK_SECONDS)
            self.assertEqual(set(ends), {"reset"})
            self.assertEqual(self.ended(idle), "reset")
            idle_seconds = time.monotonic() - began
            full.settimeout(SLACK_SECONDS)
            self.assertIn(self.ended(full), ("reset", b"x"))
        for tunnel, address in ((self.node_a.tunnel, f"{hole.ip}:15008"),
                                (self.node_b.tunnel, self.client.ip)):
            wait_until("the end of the open connections is logged with its reason", lambda t=tunnel,
                       a=address: len(self.lines(t, "connection complete", "answer a PING", a)) >= 2)
        self.assert_nobody_else_noticed(
            f"{MANY} new connections to a hole ended after {seconds:.1f} s, open ones after "
            f"{idle_seconds:.1f} s ({sent} bytes had been taken)")
        self.release()
        self.assert_works(hole)

    def test_a_hole_among_the_endpoints_of_a_service(self):
        hole = self.holes["hole-among"]
        self.server.label({"app": "either", **AMBIENT})
        hole.label({"app": "either", **AMBIENT})
        self.lab.manifests.service("demo", "either", {"app": "either"}, [EITHER_VIP], {PORT: PORT})
        wait_until("the client's node has both endpoints", lambda: len(self.endpoints()) == 2)
        self.swallow(hole)
        answers, seconds = self.connect_many(EITHER_VIP, 40, 2 * CONNECT_SECONDS + SLACK_SECONDS)
        self.assertEqual(set(answers), {b"x"})
        self.assertGreater(seconds, CONNECT_SECONDS - 1, "nobody tried the hole")
        self.assert_nobody_else_noticed(f"40 connections to a service with a hole among its two "
                                        f"endpoints were answered within {seconds:.1f} s")
        self.release()

    def endpoints(self):
        services = json.loads(self.node_a.get(15000, "/config_dump")[1])["services"]
        return next((s["endpoints"] for s in services if s["name"] == "either"), {})

    @staticmethod
    def fill(connection):
        """Sends until nobody takes more."""
        sent, seconds = 0, connection.gettimeout()
        connection.settimeout(0.3)
        try:
            while True:
                sent += connection.send(bytes(1 << 16))
        except TimeoutError:
            return sent
        finally:
            connection.settimeout(seconds)

    def assert_works(self, pod):
        with self.client.connect(pod.ip, PORT) as connection:
            connection.sendall(b"again")
            self.assertEqual(connection.recv(100), b"again")


if __name__ == "__main__":
    mesh_case.main()
