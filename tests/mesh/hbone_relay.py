"""An HBONE server inside a pod, for waypoints and gateways: it passes every stream on to where the
test says, and remembers what was asked.
"""
import asyncio
import socket
import ssl
import threading

import isolation
from certificates import server_context
from h2_library import h2


def demanding_context(certificate, root):
    """Of a server that asks its clients for certificates of the mesh."""
    context = server_context(certificate)
    context.load_verify_locations(root)
    context.verify_mode = ssl.CERT_REQUIRED
    return context


class HboneRelay:
    """target(authority): (address, port) to connect to from inside the pod."""

    def __init__(self, pod, port, context, target):
        self.pod, self.context, self.target = pod, context, target
        self.requests = []  # headers of each CONNECT, and "peer": the client's SPIFFE id
        self.listener = isolation.in_netns(pod.netns, lambda: socket.create_server(
            ("::", port), family=socket.AF_INET6, dualstack_ipv6=True))
        self.loop = self.ended = None
        self.thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        if self.ended:
            self.loop.call_soon_threadsafe(self.ended.set)
        self.thread.join(20)
        self.listener.close()

    async def _run(self):
        self.loop, self.ended = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._tunnel, sock=self.listener, ssl=self.context)
        await self.ended.wait()
        server.close()

    async def _tunnel(self, reader, writer):
        tunnel = _Tunnel(self, writer)
        tunnel.flush()
        try:
            while data := await reader.read(1 << 16):
                for event in tunnel.h2.receive_data(data):
                    tunnel.take(event)
                tunnel.flush()
        except (ConnectionError, ssl.SSLError, h2.exceptions.ProtocolError):
            pass
        finally:
            writer.close()

    def dial(self, authority):
        host, port = self.target(authority)
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        handle = isolation.in_netns(self.pod.netns, lambda: socket.socket(family))
        handle.setblocking(False)
        return handle, (host, port)


class _Tunnel:
    def __init__(self, server, writer):
        self.server, self.writer = server, writer
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(
            client_side=False, header_encoding="utf-8", validate_inbound_headers=False))
        self.h2.initiate_connection()
        names = writer.get_extra_info("peercert")["subjectAltName"]
        self.peer = next(value for kind, value in names if kind == "URI")
        self.apps = {}  # stream: what is still to be sent to its app

    def flush(self):
        self.writer.write(self.h2.data_to_send())

    def take(self, event):
        number = getattr(event, "stream_id", None)
        if isinstance(event, h2.events.RequestReceived):
            headers = dict(event.headers)
            self.server.requests.append({**headers, "peer": self.peer})
            self.apps[number] = asyncio.Queue()
            asyncio.ensure_future(self._pass_on(number, headers[":authority"]))
        elif isinstance(event, h2.events.DataReceived):
            self.h2.acknowledge_received_data(event.flow_controlled_length, number)
            self.apps[number].put_nowait(event.data)
        elif isinstance(event, (h2.events.StreamEnded, h2.events.StreamReset)):
            if number in self.apps:
                self.apps[number].put_nowait(b"")

    async def _pass_on(self, number, authority):
        handle, address = self.server.dial(authority)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(handle, address)
        self.h2.send_headers(number, [(":status", "200")])
        self.flush()
        upward = asyncio.ensure_future(self._to_app(number, handle))
        try:
            while data := await loop.sock_recv(handle, 8192):
                self.h2.send_data(number, data)
                self.flush()
            self.h2.end_stream(number)
            self.flush()
            await upward
        except (OSError, h2.exceptions.H2Error, KeyError):
            pass  # the stream or the app has gone
        finally:
            upward.cancel()
            await asyncio.gather(upward, return_exceptions=True)
            handle.close()

    async def _to_app(self, number, handle):
        while data := await self.apps[number].get():
            await asyncio.get_running_loop().sock_sendall(handle, data)
        handle.shutdown(socket.SHUT_WR)
