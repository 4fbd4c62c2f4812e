#!/usr/bin/env python3
"""Two programs that run inside pods while a tunnel is replaced.

  upgrade_load.py serve PORT
  upgrade_load.py load HOST PORT LONG INTERVAL RATE
        LONG connections that exchange a byte every INTERVAL seconds, and RATE new ones a second,
        each with one exchange; at SIGTERM, what became of them as JSON

One thread and one poller each, so that thousands of exchanges a second cost little.
"""
import errno
import json
import select
import signal
import socket
import sys
import time

LIMIT_SECONDS = 20  # of a new connection


def serve(port):
    """Sends back what comes, on any number of connections."""
    poller, connections = select.epoll(), {}
    listener = socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True,
                                    backlog=4096)
    listener.setblocking(False)
    poller.register(listener, select.EPOLLIN)
    print(f"listening on {port}", flush=True)
    while True:
        for number, _ in poller.poll():
            if number == listener.fileno():
                connection, _ = listener.accept()
                connection.setblocking(False)
                connections[connection.fileno()] = connection
                poller.register(connection, select.EPOLLIN)
                continue
            connection = connections[number]
            try:
                data = connection.recv(4096)
                if data:
                    connection.send(data)
            except OSError:
                data = b""
            if not data:
                poller.unregister(number)
                connections.pop(number).close()


class Load:
    def __init__(self, host, port, long, interval, rate):
        self.target = (host, port)
        self.family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.count, self.interval, self.rate = long, interval, rate
        self.poller = select.epoll()
        self.long, self.new = {}, {}  # descriptor: connection; descriptor: (connection, began)
        self.answered, self.failed, self.lost, self.slowest = 0, [], [], 0.0
        self.exchanged, self.ending = 0, False

    def open_long(self):
        for _ in range(self.count):
            connection = socket.create_connection(self.target, LIMIT_SECONDS)
            connection.sendall(b"l")
            if connection.recv(1) != b"l":
                raise ConnectionError("no answer")
            connection.setblocking(False)
            self.long[connection.fileno()] = connection
            self.poller.register(connection, select.EPOLLIN)
        print(f"{self.count} long connections are open", flush=True)

    def open_new(self):
        connection = socket.socket(self.family, socket.SOCK_STREAM)
        connection.setblocking(False)
        self.new[connection.fileno()] = (connection, time.time())
        if (error := connection.connect_ex(self.target)) not in (0, errno.EINPROGRESS):
            self.end_new(connection.fileno(), f"connect: {errno.errorcode[error]}")
            return
        self.poller.register(connection, select.EPOLLOUT)

    def end_new(self, number, trouble=None):
        connection, began = self.new.pop(number)
        connection.close()
        if trouble:
            self.failed.append((time.time(), f"{trouble} after {time.time() - began:.3f} s"))
        else:
            self.answered += 1
            self.slowest = max(self.slowest, time.time() - began)

    def go_on_new(self, number, event):
        connection, _ = self.new[number]
        try:
            if event & select.EPOLLOUT:
                if error := connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                    raise OSError(error, errno.errorcode.get(error, "?"))
                connection.send(b"n")
                self.poller.modify(number, select.EPOLLIN)
                return
            answer = connection.recv(1)
            self.end_new(number, None if answer == b"n" else "ended without an answer")
        except OSError as error:
            self.end_new(number, repr(error))

    def go_on_long(self, number):
        try:
            data = self.long[number].recv(100)
        except OSError:
            data = b""
        if data:
            self.exchanged += len(data)
        else:
            self.lost.append(time.time())
            self.long.pop(number).close()

    def say(self):
        for connection in self.long.values():
            try:
                connection.send(b"l")
            except OSError:
                pass  # its reading side has the end

    def turn(self, wait):
        for number, event in self.poller.poll(max(wait, 0)):
            if number in self.long:
                self.go_on_long(number)
            elif number in self.new:
                self.go_on_new(number, event)

    def run(self):
        self.open_long()
        next_new = next_say = time.monotonic()
        while not self.ending:
            now = time.monotonic()
            if now >= next_say:
                self.say()
                next_say = now + self.interval
            if now >= next_new:
                self.open_new()
                next_new = max(next_new + 1 / self.rate, now - 0.1)
            self.turn(min(next_new, next_say) - time.monotonic())
            self.give_up_late()
        deadline = time.monotonic() + LIMIT_SECONDS
        while self.new and time.monotonic() < deadline:
            self.turn(0.1)
        for number in list(self.new):
            self.end_new(number, "no answer")
        print(json.dumps({"answered": self.answered, "failed": self.failed, "lost": self.lost,
                          "slowest": self.slowest, "exchanged": self.exchanged}), flush=True)

    def give_up_late(self):
        if self.new:
            first = next(iter(self.new))
            if time.time() - self.new[first][1] > LIMIT_SECONDS:
                self.end_new(first, "no answer")

    def end(self, *_):
        self.ending = True


def main(arguments):
    match arguments:
        case ["serve", port]:
            serve(int(port))
        case ["load", host, port, long, interval, rate]:
            load = Load(host, int(port), int(long), float(interval), float(rate))
            signal.signal(signal.SIGTERM, load.end)
            load.run()
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
