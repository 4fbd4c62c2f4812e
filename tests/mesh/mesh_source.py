"""A control plane whose every word is the test's own: delta ADS over gRPC, in this process.

  with MeshSource(certificate, key, "172.16.77.1", 15013) as source:
      source.set(ADDRESS, *workload(pod))       # returns once every tunnel has answered
      source.remove(ADDRESS, "Kubernetes//Pod/demo/client")

Certificates stay the lab's control plane's. Names of resources are as Istio gives them.
"""
import asyncio
import ssl
import struct
import threading

from h2_library import h2
from mesh_objects import ADDRESS, AUTHORIZATION, encode

TYPE_PREFIX = "type.googleapis.com/"
PATH = "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources"
ANSWER_SECONDS = 60


class Rejected(Exception):
    """A tunnel refused a resource; the text is its own."""


def _varint(number):
    out = bytearray()
    while number > 0x7f:
        out.append(number & 0x7f | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _bytes_field(number, value):
    value = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(value)) + value


def _fields(message):
    """(number, value) of each field of a message."""
    at = 0

    def varint():
        nonlocal at
        result = shift = 0
        while True:
            byte = message[at]
            at += 1
            result |= (byte & 0x7f) << shift
            shift += 7
            if byte < 0x80:
                return result
    while at < len(message):
        key = varint()
        if key & 7 == 0:
            yield key >> 3, varint()
            continue
        size = varint() if key & 7 == 2 else {1: 8, 5: 4}[key & 7]
        yield key >> 3, message[at:at + size]
        at += size


def _response(kind, nonce, resources, removed):
    url = TYPE_PREFIX + kind
    out = b"".join(_bytes_field(2, _bytes_field(1, version) + _bytes_field(
        2, _bytes_field(1, url) + _bytes_field(2, body)) + _bytes_field(3, name))
        for name, (version, body) in resources.items())
    out += _bytes_field(4, url) + _bytes_field(5, nonce)
    return out + b"".join(_bytes_field(6, name) for name in removed)


class _Subscriber:
    """One tunnel's stream."""

    def __init__(self, source, reader, writer):
        self.source, self.reader, self.writer = source, reader, writer
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(
            client_side=False, header_encoding="utf-8"))
        self.stream, self.received, self.outgoing = None, b"", b""
        self.subscribed, self.waiting, self.nonces = set(), {}, 0

    async def run(self):
        self.h2.initiate_connection()
        self.flush()
        while data := await self.reader.read(65536):
            for event in self.h2.receive_data(data):
                self.handle(event)
            self.flush()

    def handle(self, event):
        if isinstance(event, h2.events.RequestReceived):
            self.stream = event.stream_id
            known = dict(event.headers).get(":path") == PATH
            self.h2.send_headers(self.stream, [
                (":status", "200" if known else "404"), ("content-type", "application/grpc")],
                end_stream=not known)
        elif isinstance(event, h2.events.DataReceived):
            self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            self.received += event.data
            self.take_requests()

    def take_requests(self):
        while len(self.received) >= 5:
            size = struct.unpack("!xI", self.received[:5])[0]
            if len(self.received) < 5 + size:
                return
            message, self.received = self.received[5:5 + size], self.received[5 + size:]
            fields = {}
            for number, value in _fields(message):
                fields.setdefault(number, []).append(value)
            self.answer(fields)

    def answer(self, fields):
        kind = fields[2][0].decode().removeprefix(TYPE_PREFIX)
        nonce = fields.get(6, [b""])[0].decode()
        if nonce:
            error = dict(_fields(fields[7][0])).get(2, b"refused").decode() if 7 in fields else None
            self.source.answered(self, nonce, error)
        elif kind in self.source.resources and kind not in self.subscribed:
            self.subscribed.add(kind)
            known = {dict(_fields(f)).get(1, b"").decode() for f in fields.get(5, [])}
            held = self.source.resources[kind]
            self.send(kind, held, known - held.keys())

    def send(self, kind, resources, removed):
        self.nonces += 1
        nonce = str(self.nonces)
        body = _response(kind, nonce, resources, removed)
        self.outgoing += struct.pack("!xI", len(body)) + body
        self.flush()
        return nonce

    def flush(self):
        while self.outgoing and self.stream:
            size = min(self.h2.local_flow_control_window(self.stream),
                       self.h2.max_outbound_frame_size, len(self.outgoing))
            if size <= 0:
                break
            self.h2.send_data(self.stream, self.outgoing[:size])
            self.outgoing = self.outgoing[size:]
        self.writer.write(self.h2.data_to_send())


class MeshSource:
    def __init__(self, certificate, key, host, port):
        self.host, self.port = host, port
        self.resources = {ADDRESS: {}, AUTHORIZATION: {}}  # kind: {name: (version, bytes)}
        self.subscribers, self.versions = set(), 0
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.tls.load_cert_chain(certificate, key)
        self.tls.set_alpn_protocols(["h2"])
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.started = threading.Event()

    def __enter__(self):
        self.thread.start()
        if not self.started.wait(ANSWER_SECONDS):
            raise RuntimeError("the source of the mesh did not start")
        return self

    def __exit__(self, *_):
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(ANSWER_SECONDS)

    def _serve(self):
        asyncio.set_event_loop(self.loop)
        server = self.loop.run_until_complete(asyncio.start_server(
            self._connected, self.host, self.port, ssl=self.tls))
        self.started.set()
        self.loop.run_forever()
        server.close()
        for task in asyncio.all_tasks(self.loop):
            task.cancel()
            self.loop.run_until_complete(asyncio.gather(task, return_exceptions=True))
        self.loop.close()

    async def _connected(self, reader, writer):
        subscriber = _Subscriber(self, reader, writer)
        self.subscribers.add(subscriber)
        try:
            await subscriber.run()
        except (OSError, h2.exceptions.ProtocolError, asyncio.IncompleteReadError):
            pass
        finally:
            self.subscribers.discard(subscriber)
            for done in subscriber.waiting.values():
                if not done.done():
                    done.set_result(None)
            writer.close()

    @staticmethod
    def answered(subscriber, nonce, error):
        done = subscriber.waiting.pop(nonce, None)
        if done and not done.done():
            done.set_result(error)

    async def _publish(self, kind, changed, removed):
        self.resources[kind].update(changed)
        for name in removed:
            self.resources[kind].pop(name, None)
        answers = []
        for subscriber in self.subscribers:
            if kind in subscriber.subscribed:
                nonce = subscriber.send(kind, changed, removed)
                subscriber.waiting[nonce] = self.loop.create_future()
                answers.append(subscriber.waiting[nonce])
        return [error for error in await asyncio.gather(*answers) if error]

    def publish(self, kind, changed, removed=()):
        """changed: {name: message}. Returns once every tunnel has answered; Rejected if one of them
        refuses."""
        self.versions += 1
        bodies = {name: (str(self.versions), encode(kind, m)) for name, m in changed.items()}
        errors = asyncio.run_coroutine_threadsafe(
            self._publish(kind, bodies, removed), self.loop).result(ANSWER_SECONDS)
        if errors:
            raise Rejected("; ".join(errors))

    def set(self, kind, name, message):
        self.publish(kind, {name: message})

    def remove(self, kind, *names):
        self.publish(kind, {}, names)
