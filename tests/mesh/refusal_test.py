"""Peers with a wrong certificate are refused by name, in both directions."""
import os
import socket
import ssl
import threading

import isolation
import mesh_case
from certificates import Authority, client_context
from mesh_case import MeshCase
from program import wait_until
from wire import HBONE_PORT

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
SETTINGS_FRAME = 4
STRANGER = "URI:spiffe://cluster.local/ns/demo/sa/client"


class Refusal(MeshCase):
    differences = {"the words of a refusal": "ours says in words what the peer has as Rust values"}

    @classmethod
    def make_mesh(cls):
        super().make_mesh()
        cls.server.serve("say", 8080)
        cls.mesh = Authority(os.path.join(cls.lab.folder, "mesh-ca"),
                             cls.lab.root_key(), cls.lab.root_certificate)
        cls.others = Authority(os.path.join(cls.lab.folder, "other-ca"))

    def http2_settings(self, context):
        """True when the server spoke HTTP/2 to this client, False when it ended the connection."""
        raw = self.plain.connect(self.server.ip, HBONE_PORT)
        try:
            with context.wrap_socket(raw) as tls:
                tls.sendall(PREFACE)
                head = b""
                while len(head) < 9:
                    chunk = tls.recv(9 - len(head))
                    if not chunk:
                        return False
                    head += chunk
                return head[3] == SETTINGS_FRAME
        except (ssl.SSLError, ConnectionError):
            return False
        finally:
            raw.close()

    def assert_refused(self, context, *reasons):
        tunnel = self.lab.nodes[1].tunnel
        before = len(tunnel.log())
        self.assertFalse(self.http2_settings(context))

        def logged():
            return [line for line in tunnel.log()[before:].splitlines()
                    if "connection failed" in line and self.plain.ip in line]
        line = wait_until("the tunnel logs the refusal", logged)[0]
        if not self.peer_differs("the words of a refusal"):
            self.assertTrue(any(reason in line.lower() for reason in reasons), line)

    def test_a_certificate_of_the_mesh_is_accepted(self):
        self.assertTrue(self.http2_settings(client_context(self.mesh.leaf(STRANGER))))

    def test_a_client_without_certificate_is_refused(self):
        self.assert_refused(client_context(), "presented no certificate")

    def test_a_certificate_of_another_authority_is_refused(self):
        self.assert_refused(client_context(self.others.leaf(STRANGER)), "signed by an unknown ca")

    def test_an_expired_certificate_is_refused(self):
        leaf = self.mesh.leaf(STRANGER, end="20210101000000Z")
        self.assert_refused(client_context(leaf), "expired")

    def test_another_trust_domain_is_refused(self):
        leaf = self.mesh.leaf("URI:spiffe://elsewhere.example/ns/demo/sa/client")
        self.assert_refused(client_context(leaf), "other trust domain")

    def test_a_certificate_without_spiffe_identity_is_refused(self):
        for name in ("DNS:client.demo", "URI:spiffe://cluster.local/demo/client"):
            self.assert_refused(client_context(self.mesh.leaf(name)), "no spiffe identity")

    def test_tls_1_2_is_refused(self):
        context = client_context(self.mesh.leaf(STRANGER), ssl.TLSVersion.TLSv1_2)
        self.assert_refused(context, "unsupported protocol")

    def test_a_server_with_another_identity_gets_no_payload(self):
        """A pod said to be in the mesh whose 15008 presents another service account."""
        impostor = self.lab.add_pod(
            "impostor", self.lab.nodes[1], service_account="honest",
            annotations={"ambient.istio.io/redirection": "enabled"})
        self.lab.wait_protocol(impostor, "HBONE")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.set_alpn_protocols(["h2"])
        context.load_cert_chain(
            *self.mesh.leaf("URI:spiffe://cluster.local/ns/demo/sa/dishonest"))
        listener = isolation.in_netns(impostor.netns, lambda: socket.create_server(
            (impostor.ip, HBONE_PORT)))
        received = []
        thread = threading.Thread(target=self.accept_one, args=(listener, context, received))
        thread.start()
        secret, tunnel = self.secret(), self.lab.nodes[0].tunnel
        done = self.client.app("ask", impostor.ip, 8080, secret, check=False)
        listener.close()
        thread.join()
        self.assertNotEqual(done.returncode, 0)
        self.assertNotIn(secret.encode(), b"".join(received))
        line = wait_until("the client's tunnel logs why", lambda: [
            row for row in tunnel.log().splitlines() if impostor.ip in row and "error=" in row])[-1]
        if not self.peer_differs("the words of a refusal"):
            self.assertIn("wrong identity", line)
        self.lab.remove_pod(impostor)

    @staticmethod
    def accept_one(listener, context, received):
        listener.settimeout(20)
        try:
            raw, _ = listener.accept()
            raw.settimeout(20)
            with context.wrap_socket(raw, server_side=True) as tls:
                while chunk := tls.recv(4096):
                    received.append(chunk)
        except OSError:
            pass


if __name__ == "__main__":
    mesh_case.main()
