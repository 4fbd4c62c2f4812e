"""What passed between the nodes: a capture, and the questions the tests ask of it."""
import os
import select
import socket
import struct
import subprocess
from collections import namedtuple

HBONE_PORT = 15008
SYN, ACK = 0x02, 0x10
Segment = namedtuple("Segment", "source source_port destination destination_port payload flags")


class Capture:
    """tcpdump on one device until stop(); then `segments` holds every TCP segment in order."""

    def __init__(self, device, path, only="tcp"):
        self.path = path
        self.command = ["tcpdump", "-i", device, "-s", "0", "-B", "65536", "-U", "--immediate-mode",
                        "-Z", "root", "-w", path, f"({only}) or udp port 9"]
        self.segments = []
        self._process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL,
                                         stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                         start_new_session=True)
        self._await_listening()

    def _await_listening(self):
        text = b""
        while b"listening on" not in text:
            ready, _, _ = select.select([self._process.stderr], [], [], 20)
            chunk = os.read(self._process.stderr.fileno(), 4096) if ready else b""
            if not chunk:
                raise RuntimeError(f"tcpdump did not start: {text.decode(errors='replace')}")
            text += chunk

    def stop(self, send_marker):
        """send_marker(bytes) sends a UDP packet to port 9 over the device: what was sent before it
        is in the file once the marker is."""
        marker = b"end-of-capture-" + os.urandom(8).hex().encode()
        send_marker(marker)
        attempts = 0
        while not self._holds(marker):
            attempts += 1
            if attempts > 200:
                raise RuntimeError("the capture never showed its end marker")
            select.select([], [], [], 0.05)
            if attempts % 20 == 0:
                send_marker(marker)
        self._process.terminate()
        self._process.wait(20)
        self._process.stderr.close()
        self.segments = list(read_segments(self.path))
        return self

    def _holds(self, marker):
        with open(self.path, "rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - (1 << 20)))
            return marker in file.read()

    def kill(self):
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait(20)
            self._process.stderr.close()

    def between(self, addresses_a, addresses_b):
        """Segments between one of a and one of b, either way."""
        return [s for s in self.segments
                if (s.source in addresses_a and s.destination in addresses_b)
                or (s.source in addresses_b and s.destination in addresses_a)]

    def ports_between(self, pod, other):
        """The server ports that connections between the two pods went to: the SYN's target, and of
        a connection that is older than the capture the port that is not a client's."""
        between = self.between(set(pod.addresses), set(other.addresses))
        opened = {_flow(s): s.destination_port for s in between if s.flags & SYN
                  and not s.flags & ACK}
        return {opened.get(_flow(s)) or min(s.source_port, s.destination_port) for s in between}

    def tunnels(self, pod, other):
        """How many connections to port 15008 the pod opened to the other."""
        return len({s[:4] for s in self.segments
                    if s.source in pod.addresses and s.destination in other.addresses
                    and s.destination_port == HBONE_PORT and s.flags & SYN and not s.flags & ACK})

    def contains(self, secret):
        """Whether the bytes appear in one segment or across two neighbours of a flow."""
        tails = {}
        for s in self.segments:
            flow = s[:4]
            data = tails.get(flow, b"") + s.payload
            if secret in data:
                return True
            tails[flow] = data[-(len(secret) - 1):] if len(secret) > 1 else b""
        return False


def _flow(segment):
    """The same for both directions of a connection."""
    return frozenset((segment[:2], segment[2:4]))


def starts_tls(payload):
    """A TLS record of a known type and version."""
    return len(payload) >= 3 and payload[0] in (20, 21, 22, 23) and payload[1] == 3


def read_segments(path):
    with open(path, "rb") as file:
        data = file.read()
    magic = struct.unpack_from("<I", data)[0]
    if magic not in (0xA1B2C3D4, 0xA1B23C4D):
        raise ValueError(f"{path} is not a little-endian pcap file")
    offset = 24
    while offset + 16 <= len(data):
        length = struct.unpack_from("<I", data, offset + 8)[0]
        segment = _parse_frame(data[offset + 16:offset + 16 + length])
        if segment:
            yield segment
        offset += 16 + length


def _parse_frame(frame):
    if len(frame) < 34:
        return None
    kind = struct.unpack_from("!H", frame, 12)[0]
    if kind == 0x0800 and frame[23] == socket.IPPROTO_TCP:
        start = 14 + (frame[14] & 15) * 4
        end = 14 + struct.unpack_from("!H", frame, 16)[0]
        source, destination = (socket.inet_ntop(socket.AF_INET, frame[o:o + 4]) for o in (26, 30))
    elif kind == 0x86DD and len(frame) >= 74 and frame[20] == socket.IPPROTO_TCP:
        start, end = 54, 54 + struct.unpack_from("!H", frame, 18)[0]
        source, destination = (socket.inet_ntop(socket.AF_INET6, frame[o:o + 16])
                               for o in (22, 38))
    else:
        return None
    source_port, destination_port = struct.unpack_from("!HH", frame, start)
    header = (frame[start + 12] >> 4) * 4
    return Segment(source, source_port, destination, destination_port,
                   frame[start + header:end], frame[start + 13])
