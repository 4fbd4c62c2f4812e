"""Who loads the mesh in a soak: each actor does one kind of thing, over and over, and checks it."""
import hashlib
import os
import random
import socket
import struct
import threading
import time

from apps import seeded_bytes
from lab import AMBIENT
from mesh_objects import one_rule
from program import LabError, wait_until
from resolver import TYPE_A, TYPE_AAAA, addresses, ask_by_tcp, ask_by_udp, question

HASH, EARLY, HOLD, POUR, GUARDED = 8081, 8082, 8083, 8085, 8084
WEB, WEB6 = "10.96.0.20", "fd77:96::20"
WEB_NAME = "web.demo.svc.cluster.local"
WAIT_SECONDS = 90
NOW_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: closing resets


def read_exactly(connection, size):
    got = bytearray()
    while len(got) < size:
        chunk = connection.recv(min(1 << 16, size - len(got)))
        if not chunk:
            raise ConnectionError(f"ended after {len(got)} of {size} bytes")
        got += chunk
    return bytes(got)


def read_all(connection):
    got = bytearray()
    while chunk := connection.recv(1 << 16):
        got += chunk
    return bytes(got)


class Actor(threading.Thread):
    """Repeats act() at the soak's pace; what fails goes to the soak with how long it had lasted."""
    pause_seconds = 0.05  # between two acts, before the pace stretches it

    def __init__(self, soak, seed):
        super().__init__(daemon=True)
        self.soak, self.rng, self.done = soak, random.Random(seed), 0

    def run(self):
        while self.soak.turn(self.pause_seconds):
            began = time.monotonic()
            try:
                self.act()
                self.done += 1
            except (OSError, ValueError, LabError, RuntimeError, TimeoutError) as error:
                self.soak.failed(self, began, error)
            finally:
                self.soak.turn_ends()

    def act(self):
        raise NotImplementedError

    def target(self):
        """(pod that calls, address) of a server that has all apps."""
        caller = self.rng.choice(self.soak.callers)
        return caller, self.rng.choice(self.soak.addresses)

    def connect(self, port):
        caller, address = self.target()
        connection = caller.connect(address, port, WAIT_SECONDS)
        if self.rng.random() < 0.2:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        return connection

    def size(self):
        return self.rng.choice((0, 1, self.rng.randrange(100), self.rng.randrange(5000),
                                self.rng.randrange(120000), self.rng.randrange(1500000)))


class Exchange(Actor):
    """A request that ends in a half-close, an answer on what is left of the connection."""

    def act(self):
        body = self.rng.randbytes(self.size())
        with self.connect(HASH) as connection:
            connection.sendall(body)
            connection.shutdown(socket.SHUT_WR)
            answer = read_all(connection)
        line, _, rest = answer.partition(b"\n")
        count, length, digest = line.decode().split()
        mine = hashlib.sha256(body + rest).hexdigest()
        if (int(count), int(length), digest) != (len(body), len(rest), mine):
            raise ValueError(f"{len(body)} bytes sent, {count} counted; {len(rest)} of {length} "
                             "bytes back, or others")


class ByService(Exchange):
    """A service is for pods of the mesh only."""

    def target(self):
        return self.rng.choice(self.soak.captured_callers), self.rng.choice((WEB, WEB6))


class Early(Actor):
    """The server ends first; the client knows, and goes on."""
    pause_seconds = 0.2

    def act(self):
        seed, size = self.rng.randrange(1 << 32), self.size()
        with self.connect(EARLY) as connection:
            connection.sendall(f"{seed} {size}\n".encode())
            if read_all(connection) != seeded_bytes(seed, seed % 70000):
                raise ValueError("the server's half is not what it sent")
            connection.sendall(seeded_bytes(seed + 1, size))


class Reset(Actor):
    """Goes away with a RST, before, within or after an exchange."""
    pause_seconds = 0.2

    def act(self):
        with self.connect(HOLD) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NOW_RESET)
            for _ in range(self.rng.randrange(3)):
                connection.sendall(b"x" * self.rng.randrange(1, 20000))
                if self.rng.random() < 0.5:
                    connection.recv(1000)


class SlowReader(Actor):
    """Asks for much and takes it in small pieces, so that windows and buffers fill."""
    pause_seconds = 0.5

    def act(self):
        seed, size = self.rng.randrange(1 << 32), self.rng.randrange(1 << 20, 6 << 20)
        step, digest = size // 40, hashlib.sha256()
        with self.connect(POUR) as connection:
            connection.sendall(f"{seed} {size}\n".encode())
            left = size
            while left and not self.soak.paused():
                digest.update(read_exactly(connection, min(step, left)))
                left -= min(step, left)
                self.soak.rest(0.1)
        if not left and digest.digest() != hashlib.sha256(seeded_bytes(seed, size)).digest():
            raise ValueError("other bytes than were sent")


class Holder(Actor):
    """Thirty connections that live for minutes and say something now and then."""
    pause_seconds = 1.0

    def __init__(self, soak, seed):
        super().__init__(soak, seed)
        self.held = []

    def act(self):
        if self.soak.paused():
            self.drop(0)
            return
        if len(self.held) < 30:
            self.held.append((self.connect(HOLD), time.monotonic()))
        try:
            for connection, _ in self.held:
                text = os.urandom(self.rng.randrange(1, 50))
                connection.sendall(text)
                if read_exactly(connection, len(text)) != text:
                    raise ValueError("another answer")
        except OSError as error:
            # Held over the end of a tunnel that was replaced, or the soak hears of it.
            age = time.monotonic() - min(since for _, since in self.held)
            self.drop(0)
            if age < self.soak.deadline:
                raise error
            self.soak.excused += 1
        if self.rng.random() < 0.05:
            self.drop(20)

    def drop(self, keep):
        while len(self.held) > keep:
            self.held.pop(0)[0].close()


class Asker(Actor):
    """DNS over UDP and TCP, names of the mesh and others."""
    pause_seconds = 0.2

    def act(self):
        caller = self.rng.choice(self.soak.captured_callers)
        resolver = self.soak.plain.ip
        known = self.rng.random() < 0.7
        kind = self.rng.choice((TYPE_A, TYPE_AAAA)) if known else TYPE_A
        query = question(WEB_NAME if known else f"n{self.rng.randrange(1000)}.example.org", kind)
        if self.rng.random() < 0.3:
            answer = ask_by_tcp(caller, resolver, query)[0]
        else:
            try:
                answer = ask_by_udp(caller, resolver, query, 5)[0]
            except TimeoutError:  # a datagram may be lost, as a stub resolver knows
                answer = ask_by_udp(caller, resolver, query, WAIT_SECONDS)[0]
        wanted = ([WEB] if kind == TYPE_A else [WEB6]) if known else ["198.51.100.9"]
        if addresses(answer) != wanted:
            raise ValueError(f"{addresses(answer)} instead of {wanted}")
        self.soak.resolver.received.clear()
        self.soak.resolver.sent.clear()


class Guard(Actor):
    """A policy comes, cuts what is open on its port, lets nothing in; and goes."""
    pause_seconds = 5.0

    def act(self):
        lab, server, caller = self.soak.lab, self.soak.web[1], self.soak.callers[0]
        with caller.connect(server.ip, GUARDED, WAIT_SECONDS) as connection:
            connection.sendall(b"1")
            read_exactly(connection, 1)
            rule = one_rule(destination_ports=[GUARDED])
            lab.set_policy("demo", "guard", "DENY", rule)
            try:
                if connection.recv(10):
                    raise ValueError("an open connection goes on though it is denied")
            except ConnectionResetError:
                pass
            try:
                with caller.connect(server.ip, GUARDED, WAIT_SECONDS) as another:
                    another.sendall(b"2")
                    if another.recv(10):
                        raise ValueError("a denied connection is answered")
            except ConnectionResetError:
                pass
            lab.remove_policy("demo", "guard")
        with caller.connect(server.ip, GUARDED, WAIT_SECONDS) as connection:
            connection.sendall(b"3")
            read_exactly(connection, 1)


class Churn(Actor):
    """A pod comes, is called and calls, and goes while its connections are open."""
    pause_seconds = 3.0

    def __init__(self, soak, seed):
        super().__init__(soak, seed)
        self.count = 0

    def act(self):
        lab, node = self.soak.lab, self.rng.choice(self.soak.lab.nodes)
        self.count += 1
        labels = {"app": "churn"} | (AMBIENT if self.rng.random() < 0.8 else {})
        name = f"churn-{self.count}"
        lab.fields[name] = {"workload_name": "churn"}  # as pods of one Deployment are
        pod = lab.add_pod(name, node, labels=labels)
        try:
            with pod.socket() as listener:
                listener.bind((pod.ip, 0))
                listener.listen(8)
                listener.settimeout(WAIT_SECONDS)
                self.use(pod, listener)
        finally:
            lab.remove_pod(pod)

    def use(self, pod, listener):
        server = self.rng.choice(self.soak.web)
        with pod.connect(server.ip, HOLD, WAIT_SECONDS) as out:
            out.sendall(b"out")
            read_exactly(out, 3)
            caller = self.rng.choice(self.soak.callers)
            if self.rng.random() < 0.5:
                return  # with the connection open
            with caller.connect(pod.ip, listener.getsockname()[1], WAIT_SECONDS) as connection:
                connection.sendall(b"in")
                accepted, _ = listener.accept()
                with accepted:
                    accepted.settimeout(WAIT_SECONDS)
                    read_exactly(accepted, 2)


def wait_served(lab, node, port, pods):
    """The tunnel whose admin page is on the port serves the pods."""
    def served():
        try:
            text = node.get(port, "/config_dump", 20)[1]
        except OSError:
            return False
        return all(f'"{pod.uid}"' in text for pod in pods)
    wait_until("the successor serves the pods of its node", served, WAIT_SECONDS)
