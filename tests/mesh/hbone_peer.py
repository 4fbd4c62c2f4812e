"""An HBONE client whose every header is the test's own, and a server that says what a test wants."""
import socket
import ssl
import threading

from h2_library import h2


def authority_of(address, port):
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


class Tunnel:
    """mTLS and HTTP/2 to port 15008 of a pod, from the pod's own network."""

    def __init__(self, pod, address, context, port=15008):
        self.tls = context.wrap_socket(pod.connect(address, port))
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(
            header_encoding="utf-8", validate_outbound_headers=False,
            validate_inbound_headers=False))
        self.h2.initiate_connection()
        self.events = {}  # stream: events not asked for yet
        self.goaway = False
        self._flush()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.tls.close()

    def _flush(self):
        self.tls.sendall(self.h2.data_to_send())

    def _next(self, stream):
        """The stream's next event; ConnectionError when the tunnel ends first."""
        while not self.events.get(stream):
            try:
                data = self.tls.recv(65536)
            except ssl.SSLError as error:
                raise ConnectionError(str(error)) from error
            if not data:
                raise ConnectionError("the tunnel has ended")
            for event in self.h2.receive_data(data):
                self.goaway |= isinstance(event, h2.events.ConnectionTerminated)
                number = getattr(event, "stream_id", None)
                if number:
                    self.events.setdefault(number, []).append(event)
            self._flush()
        return self.events[stream].pop(0)

    def ask(self, authority, method="CONNECT", extra=()):
        """(stream, status, headers) of a request; status "reset" where there was no answer."""
        stream = self.h2.get_next_available_stream_id()
        self.h2.send_headers(stream, [(":method", method), (":authority", authority), *extra])
        self._flush()
        while True:
            event = self._next(stream)
            if isinstance(event, h2.events.ResponseReceived):
                headers = dict(event.headers)
                return stream, headers[":status"], headers
            if isinstance(event, h2.events.StreamReset):
                return stream, "reset", {}

    def status(self, authority, **options):
        return self.ask(authority, **options)[1]

    def exchange(self, stream, line):
        """The line that the app behind the stream answers."""
        self.h2.send_data(stream, line.encode() + b"\n")
        self._flush()
        got = b""
        while b"\n" not in got:
            event = self._next(stream)
            if isinstance(event, h2.events.DataReceived):
                self.h2.acknowledge_received_data(event.flow_controlled_length, stream)
                got += event.data
            elif isinstance(event, (h2.events.StreamEnded, h2.events.StreamReset)):
                raise ConnectionError(f"the stream has ended after {got}")
        return got.decode().rstrip()


class Server:
    """Port 15008 of an uncaptured pod; echoes streams. The first `goaways` connections hear,
    together with the server's SETTINGS, that it takes no stream."""

    def __init__(self, pod, context, goaways=0, port=15008):
        self.context, self.goaways, self.connections = context, goaways, 0
        self.listener = pod.socket(socket.AF_INET6)
        self.listener.bind(("::", port))
        self.listener.listen(64)
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        self.listener.close()

    def _accept(self):
        while True:
            try:
                raw, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(raw, self.connections <= self.goaways),
                             daemon=True).start()

    def _serve(self, raw, goaway):
        connection = h2.connection.H2Connection(h2.config.H2Configuration(
            client_side=False, validate_inbound_headers=False, validate_outbound_headers=False))
        try:
            with self.context.wrap_socket(raw, server_side=True) as tls:
                connection.initiate_connection()
                if goaway:
                    connection.close_connection(last_stream_id=0)
                tls.sendall(connection.data_to_send())
                while data := tls.recv(65536):
                    if not goaway:
                        self._answer(connection, connection.receive_data(data))
                        tls.sendall(connection.data_to_send())
        except (OSError, h2.exceptions.ProtocolError):
            pass

    @staticmethod
    def _answer(connection, events):
        for event in events:
            if isinstance(event, h2.events.RequestReceived):
                connection.send_headers(event.stream_id, [(":status", "200")])
            elif isinstance(event, h2.events.DataReceived):
                connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                connection.send_data(event.stream_id, event.data)
            elif isinstance(event, h2.events.StreamEnded):
                connection.end_stream(event.stream_id)
