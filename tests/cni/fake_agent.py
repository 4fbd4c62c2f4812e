"""An agent that a test plays: HTTP/1.1 on a unix socket, one behaviour for each path.

A behaviour is a function (peer, request) that writes whatever it likes to the peer's socket. A path
without one gets the answer of an agent for which all is well.
"""
import json
import os
import socket
import struct
import threading

import rule_program


class Request:
    def __init__(self, method, path, body, pid):
        self.method, self.path, self.body, self.pid = method, path, body, pid

    def json(self):
        return json.loads(self.body)


def http(status, body=b"", content_type="application/json"):
    return (f"HTTP/1.1 {status} X\r\nContent-Type: {content_type}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n").encode() + body


def say(data):
    """Sends these bytes and closes."""
    def behave(peer, _request):
        peer.sendall(data)
    return behave


def answer(status, value):
    return say(http(status, json.dumps(value).encode()))


def captured(program=None, undo=None):
    return answer(200, {"captured": True, "reason": "namespace label", "token": "t-1",
                        "program": program or rule_program.add(), "undo": undo or rule_program.remove()})


def silent(peer, _request):
    """Never answers; ends when the other side gives up."""
    while peer.recv(4096):
        pass


def endless(peer, _request):
    """A body without end."""
    peer.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    try:
        while True:
            peer.sendall(b"x" * 65536)
    except OSError:
        pass


HEALTHY = {
    "/cmdadd": captured(),
    "/cmdcheck": answer(200, {"captured": True, "problems": []}),
    "/status": answer(200, {"ready": True}),
}


def read_request(peer):
    data = b""
    while b"\r\n\r\n" not in data:
        chunk = peer.recv(65536)
        if not chunk:
            return None
        data += chunk
    head, _, body = data.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines[1:])
    while len(body) < int(headers.get("content-length", 0)):
        body += peer.recv(65536)
    method, path, _ = lines[0].split(" ")
    credentials = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return Request(method, path, body, struct.unpack("3i", credentials)[0])


class FakeAgent:
    def __init__(self, path, behaviours=None):
        self.path = path
        self.behaviours = dict(HEALTHY, **(behaviours or {}))
        self.requests = []
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(path)
        self.listener.listen(16)
        self.threads = []
        self.acceptor = threading.Thread(target=self._accept, daemon=True)
        self.acceptor.start()

    def paths(self):
        return [request.path for request in self.requests]

    def bodies(self, path):
        return [request.json() for request in self.requests if request.path == path]

    def close(self):
        """Stops listening and takes the socket file away; returns when every request is served."""
        self.stop_listening()
        self.acceptor.join()
        for thread in self.threads:
            thread.join()
        if os.path.exists(self.path):
            os.unlink(self.path)

    def stop_listening(self):
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _accept(self):
        while True:
            try:
                peer, _ = self.listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(peer,), daemon=True)
            self.threads.append(thread)
            thread.start()

    def _serve(self, peer):
        with peer:
            try:
                request = read_request(peer)
                if request is None:
                    return
                self.requests.append(request)
                self.behaviours.get(request.path, say(http(200, b"{}")))(peer, request)
            except OSError:
                pass  # the plugin may hang up at any time
