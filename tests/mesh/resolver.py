"""A resolver inside a pod whose every answer is the test's own, and the messages of DNS."""
import socket
import struct
import threading

TYPE_A, TYPE_AAAA = 1, 28


def question(name, kind=TYPE_A, number=0x1234, options=b""):
    """A query with recursion desired; `options` is an additional record in wire form."""
    labels = b"".join(bytes([len(p)]) + p.encode() for p in name.rstrip(".").split(".") if p)
    header = struct.pack("!6H", number, 0x0100, 1, 0, 0, 1 if options else 0)
    return header + labels + b"\0" + struct.pack("!2H", kind, 1) + options


def addresses(message):
    """The A and AAAA records of an answer, sorted; names in it are skipped, not read."""
    count, at = struct.unpack("!H", message[6:8])[0], _skip_name(message, 12) + 4
    found = []
    for _ in range(count):
        at = _skip_name(message, at)
        kind, _, _, length = struct.unpack("!HHIH", message[at:at + 10])
        data = message[at + 10:at + 10 + length]
        at += 10 + length
        if kind in (TYPE_A, TYPE_AAAA):
            found.append(socket.inet_ntop(socket.AF_INET if kind == TYPE_A else socket.AF_INET6,
                                          data))
    return sorted(found)


def _skip_name(message, at):
    while message[at]:
        if message[at] >= 0xc0:
            return at + 2
        at += 1 + message[at]
    return at + 1


def ask_by_udp(pod, resolver, message, seconds=20.0):
    """The answer that an app of the pod gets, and from where it came."""
    with pod.socket(socket.AF_INET6 if ":" in resolver else socket.AF_INET,
                    socket.SOCK_DGRAM) as handle:
        handle.settimeout(seconds)
        handle.sendto(message, (resolver, 53))
        answer, source = handle.recvfrom(65535)
        return answer, source[0]


def ask_by_tcp(pod, resolver, *messages):
    """All messages at once, then as many answers."""
    with pod.connect(resolver, 53) as handle, handle.makefile("rb") as reader:
        handle.sendall(b"".join(struct.pack("!H", len(m)) + m for m in messages))
        return [reader.read(struct.unpack("!H", reader.read(2))[0]) for _ in messages]


class Resolver:
    """Answers every question, in the pod, on port 53 of both protocols and both families."""

    def __init__(self, pod, records=b"\xc0\x0c\0\1\0\1\0\0\0\x07\0\4\xc6\x33\x64\x09"):
        self.records, self.received, self.sent = records, [], []
        self.handles = []
        for family in (socket.AF_INET, socket.AF_INET6):
            for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
                self._listen(pod, family, kind)

    def _listen(self, pod, family, kind):
        handle = pod.socket(family, kind)
        handle.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            handle.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        handle.bind(("", 53))
        if kind == socket.SOCK_STREAM:
            handle.listen(64)
        self.handles.append(handle)
        serve = self._serve_udp if kind == socket.SOCK_DGRAM else self._serve_tcp
        threading.Thread(target=serve, args=(handle,), daemon=True).start()

    def answer(self, message, source, protocol):
        end = _skip_name(message, 12) + 4
        answer = (message[:2] + b"\x81\x80\0\1\0\1\0\0\0\0" + message[12:end] + self.records)
        self.received.append((message, source, protocol))
        self.sent.append(answer)
        return answer

    def _serve_udp(self, handle):
        while True:
            try:
                message, source = handle.recvfrom(65535)
            except OSError:
                return
            handle.sendto(self.answer(message, source[0], "udp"), source)

    def _serve_tcp(self, handle):
        while True:
            try:
                connection, source = handle.accept()
            except OSError:
                return
            with connection, connection.makefile("rb") as reader:
                length = reader.read(2)
                if len(length) == 2:
                    message = reader.read(struct.unpack("!H", length)[0])
                    answer = self.answer(message, source[0], "tcp")
                    connection.sendall(struct.pack("!H", len(answer)) + answer)

    def names(self):
        """What was asked for, in lower case."""
        return [message[12:_skip_name(message, 12)].lower() for message, _, _ in self.received]

    def close(self):
        for handle in self.handles:
            handle.close()
