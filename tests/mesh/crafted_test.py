"""Headers that a peer with a certificate of the mesh may send: none of them harms its tunnel."""
import os
import random
import struct

import mesh_case
from certificates import Authority, client_context
from mesh_case import MeshCase
from wire import HBONE_PORT

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY = 0, 1, 3, 4, 6, 7
ACK, END_STREAM, END_HEADERS = 1, 1, 4
OK, BAD_REQUEST = 0x88, 0x8c  # :status 200 and 400 of HPACK's static table
HEX = "0123456789abcdef"


def frame(kind, flags, stream, payload=b""):
    return struct.pack("!I", len(payload))[1:] + bytes([kind, flags]) \
        + struct.pack("!I", stream) + payload


def text(value):
    """A string of HPACK, without Huffman; the length as an integer with a prefix of 7 bits."""
    if len(value) < 127:
        return bytes([len(value)]) + value
    rest, out = len(value) - 127, b"\x7f"
    while rest >= 128:
        out += bytes([rest % 128 + 128])
        rest //= 128
    return out + bytes([rest]) + value


def header_block(headers):
    return b"".join(b"\x00" + text(name.encode()) + text(value) for name, value in headers)


class Tunnel:
    """One HTTP/2 connection, written by hand so that nothing is corrected on the way."""

    def __init__(self, tls):
        self.tls, self.stream = tls, -1
        tls.sendall(PREFACE + frame(SETTINGS, 0, 0))

    def read_frame(self):
        head = self.read(9)
        length = struct.unpack("!I", b"\0" + head[:3])[0]
        return head[3], head[4], struct.unpack("!I", head[5:])[0], self.read(length)

    def read(self, size):
        found = b""
        while len(found) < size:
            chunk = self.tls.recv(size - len(found))
            if not chunk:
                raise ConnectionError("the tunnel ended")
            found += chunk
        return found

    def connect(self, headers):
        """(first byte of the answer's header block or None where the stream was reset, its bytes)
        of a CONNECT with these headers whose sender says one line and ends."""
        self.stream += 2
        self.tls.sendall(frame(HEADERS, END_HEADERS, self.stream, header_block(headers)))
        status, body = None, b""
        while True:
            kind, flags, stream, payload = self.read_frame()
            if kind == SETTINGS and not flags & ACK:
                self.tls.sendall(frame(SETTINGS, ACK, 0))
            elif kind == PING and not flags & ACK:
                self.tls.sendall(frame(PING, ACK, 0, payload))
            elif kind == GOAWAY:
                raise ConnectionError("GOAWAY")
            elif stream != self.stream:
                continue
            elif kind == HEADERS:
                status = payload[0]
                if status == OK:
                    self.tls.sendall(frame(DATA, END_STREAM, self.stream, b"hello\n"))
            elif kind == DATA:
                body += payload
            if stream == self.stream and (kind == RST_STREAM or flags & END_STREAM):
                return status, body


class Crafted(MeshCase):
    @classmethod
    def make_mesh(cls):
        super().make_mesh()
        cls.server.serve("say", 8080)
        authority = Authority(os.path.join(cls.lab.folder, "mesh-ca"),
                              cls.lab.root_key(), cls.lab.root_certificate)
        cls.context = client_context(authority.leaf("URI:" + cls.client.spiffe))
        cls.context.set_alpn_protocols(["h2"])

    def setUp(self):
        raw = self.plain.connect(self.server.ip, HBONE_PORT)
        self.addCleanup(raw.close)
        self.tls = self.context.wrap_socket(raw)
        self.addCleanup(self.tls.close)
        self.tunnel = Tunnel(self.tls)
        self.random = random.Random(7)

    def call(self, authority=None, **headers):
        authority = f"{self.server.ip}:8080".encode() if authority is None else authority
        return self.tunnel.connect([(":method", b"CONNECT"), (":authority", authority),
                                    *((k.replace("_", "-"), v) for k, v in headers.items())])

    def assert_served(self, **headers):
        status, body = self.call(**headers)
        self.assertEqual(status, OK, headers)
        self.assertIn(b"said: hello", body)

    def test_a_traceparent_of_any_length(self):
        for length in range(81):
            whole = ("00-" + "a" * 32 + "-" + "b" * 16 + "-00" + "c" * 30)[:length]
            other = "".join(self.random.choice(HEX + "-xyz~ ") for _ in range(length)).strip()
            for value in (whole, whole.replace("-", "0"), other, "-" * length):
                self.assert_served(traceparent=value.encode())

    def test_baggage_and_forwarded_of_any_form(self):
        for value in ("", "=", ",", "=,=,=", "k8s.cluster.name", "k8s.cluster.name=",
                      "k8s.namespace.name=a=b,k8s.namespace.name=c", "," * 2000,
                      "k8s.deployment.name=" + "x" * 4000, "service.name=%00%ff", "a" * 5000):
            self.assert_served(baggage=value.encode())
        for value in ("", ";", "for=", "host=", 'host="', ";" * 3000, "for=x;host=" + "y" * 4000,
                      'for="[::1]:1";host="a";host="b"', "host=a b c", "HOST=a"):
            self.assert_served(forwarded=value.encode())
        self.assert_served(x_forwarded_network=b"\"\\'" * 100)

    def test_an_authority_that_is_none_costs_its_own_request_only(self):
        for value in (b"", b":", b":8080", b"x", b"[::1", b"[]:80", b"1.2.3.4:0", b"1.2.3.4:65536",
                      b"1.2.3.4:8080:1", b"a" * 3000 + b":1", b"-1:-1", b"10.77.2.2:80a", b"%00:1"):
            status, body = self.call(authority=value)
            self.assertNotEqual(status, OK, value)
            self.assertEqual(body, b"")
            self.assert_served()


if __name__ == "__main__":
    mesh_case.main()
