"""The HTTP/2 conformance suite h2spec against a captured pod's 15008.

PEER_H2SPEC names the suite's binary. It speaks HTTP/2 without TLS to a front that this test runs
in another pod: the front carries the bytes over mutual TLS, as a mesh peer.
"""
import os
import select
import socket
import sys
import threading
import xml.etree.ElementTree

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, "mesh"))
# pylint: disable=wrong-import-position
import isolation
import mesh_case
from certificates import Authority, client_context
from mesh_case import MeshCase
from wire import HBONE_PORT

PEER = "URI:spiffe://cluster.local/ns/demo/sa/client"

# What is known to fail, and why that is right for a server of CONNECT tunnels.
_NO_BODY = "it waits for a body, and an answer to anything but CONNECT has none"
_DROPPED = ("the bytes are dropped and their window is given back: they may have been on the way "
            "when the stream ended")
EXPLAINED = {
    "generic/2: Sends a WINDOW_UPDATE frame on half-closed (remote) stream": _NO_BODY,
    "generic/2: Sends a PRIORITY frame on half-closed (remote) stream": _NO_BODY,
    "http2/4.2: Sends a large size HEADERS frame that exceeds the SETTINGS_MAX_FRAME_SIZE":
        "it sends 16 KiB and more; frames of 1 MiB are announced",
    "http2/5.1: closed: Sends a DATA frame after sending RST_STREAM frame": _DROPPED,
    "http2/5.1: closed: Sends a DATA frame": _DROPPED,
    "http2/5.1.2: Sends HEADERS frames that causes their advertised concurrent stream limit to be "
    "exceeded":
        "its requests are no CONNECTs and are answered at once, so that often none is open",
}


class TlsFront:
    """Carries each connection to `address` over mutual TLS, until closed."""

    def __init__(self, pod, context, address):
        self._pod, self._context, self._address = pod, context, address
        self._listener = isolation.in_netns(pod.netns, lambda: socket.create_server(
            ("127.0.0.1", 0)))
        self.port = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._carry, args=(client,))
            thread.start()
            self._threads.append(thread)

    def _carry(self, client):
        try:
            with client, self._context.wrap_socket(
                    self._pod.connect(*self._address)) as server:
                self._copy(client, server)
        except OSError:
            pass  # the suite breaks connections on purpose

    @staticmethod
    def _copy(client, server):
        server.settimeout(10)
        while True:
            ready = [server] if server.pending() else select.select([client, server], [], [], 30)[0]
            if not ready:
                return
            for source, target in ((client, server), (server, client)):
                if source in ready:
                    data = source.recv(65536)
                    if not data:
                        return
                    target.sendall(data)

    def close(self):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join()


class Http2Conformance(MeshCase):
    def test_the_suite_finds_only_what_is_explained(self):
        mesh = Authority(os.path.join(self.lab.folder, "mesh-ca"), self.lab.root_key(),
                         self.lab.root_certificate)
        front = TlsFront(self.plain, client_context(mesh.leaf(PEER)), (self.server.ip, HBONE_PORT))
        self.addCleanup(front.close)
        report = os.path.join(self.lab.folder, "h2spec.xml")
        self.plain.run(os.environ["PEER_H2SPEC"], "-h", "127.0.0.1", "-p", str(front.port), "-j",
                       report, "--timeout", "3", check=False, seconds=600)
        failed, count = {}, 0
        for case in xml.etree.ElementTree.parse(report).iter("testcase"):
            count += 1
            problem = case.find("failure")
            if problem is None:
                problem = case.find("error")
            if problem is not None:
                name = f"{case.get('package')}: {case.get('classname')}"
                failed[name] = " / ".join((problem.text or "").split("\n"))
        print(f"h2spec: {count - len(failed)} of {count} pass")
        self.assertGreater(count, 100)
        for name, problem in failed.items():
            print(f"  {name}\n    wanted: {problem}\n    {EXPLAINED.get(name, 'NOT EXPLAINED')}")
        self.assertLessEqual(set(failed), set(EXPLAINED))

    def test_z_the_tunnel_still_serves(self):
        self.server.serve("say", 8080)
        answer = self.client.app("ask", self.server.ip, 8080, "after").stdout
        self.assertIn("after", answer)


if __name__ == "__main__":
    mesh_case.main()
