"""How a connection ends in one app is how it ends in the other: a reset as a reset, an end as an
end, for tunnelled connections and for plaintext ones."""
import contextlib
import socket
import struct

import isolation
import mesh_case
from mesh_case import VIP, MeshCase

PORT = 8080


def reset(connection):
    """Closes with RST."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


class Ends(MeshCase):
    differences = dict.fromkeys(
        ("test_a_reset_of_the_clients_app_is_a_reset_for_the_servers",
         "test_a_reset_of_the_servers_app_is_a_reset_for_the_clients",
         "test_a_reset_after_a_half_close_is_a_reset"), "the peer ends it as if the app had")

    @contextlib.contextmanager
    def pair(self, client, server, host=None, port=PORT):
        """(client's, server's) end of a connection that has carried bytes both ways."""
        family = socket.AF_INET6 if ":" in (host or "") else socket.AF_INET
        address = "::" if family == socket.AF_INET6 else "0.0.0.0"
        with isolation.in_netns(server.netns, lambda: socket.create_server(
                (address, PORT), family=family)) as listener:
            listener.settimeout(20)
            with client.connect(host or server.ip, port) as ours:
                ours.sendall(b"from the client")
                theirs, _ = listener.accept()
                with theirs:
                    theirs.settimeout(20)
                    self.assertEqual(theirs.recv(100), b"from the client")
                    theirs.sendall(b"from the server")
                    self.assertEqual(ours.recv(100), b"from the server")
                    yield ours, theirs

    def ways(self):
        """(what it is, arguments of pair)."""
        return {"tunnelled": (self.client, self.server),
                "tunnelled, IPv6": (self.client, self.server, self.server.ip6),
                "tunnelled, by service": (self.client, self.server, VIP, 80),
                "to a plain pod": (self.client, self.plain),
                "from a plain pod": (self.plain, self.server)}

    def test_a_reset_of_the_clients_app_is_a_reset_for_the_servers(self):
        for what, way in self.ways().items():
            with self.subTest(what), self.pair(*way) as (ours, theirs):
                reset(ours)
                with self.assertRaises(ConnectionResetError):
                    theirs.recv(100)

    def test_a_reset_of_the_servers_app_is_a_reset_for_the_clients(self):
        for what, way in self.ways().items():
            with self.subTest(what), self.pair(*way) as (ours, theirs):
                reset(theirs)
                with self.assertRaises(ConnectionResetError):
                    ours.recv(100)

    def test_a_reset_after_a_half_close_is_a_reset(self):
        for what, way in self.ways().items():
            with self.subTest(what), self.pair(*way) as (ours, theirs):
                ours.shutdown(socket.SHUT_WR)
                self.assertEqual(theirs.recv(100), b"")
                reset(theirs)
                with self.assertRaises(ConnectionResetError):
                    ours.recv(100)

    def test_a_half_close_is_an_end_and_the_other_half_goes_on(self):
        for what, way in self.ways().items():
            for swap in (False, True):
                with self.subTest(what, swap=swap), self.pair(*way) as ends:
                    first, second = reversed(ends) if swap else ends
                    first.shutdown(socket.SHUT_WR)
                    self.assertEqual(second.recv(100), b"")
                    second.sendall(b"still here")
                    self.assertEqual(first.recv(100), b"still here")
                    second.shutdown(socket.SHUT_WR)
                    self.assertEqual(first.recv(100), b"")

    def test_an_app_that_does_not_listen_is_a_reset_or_a_refusal(self):
        for target in (self.server, self.plain):
            with self.subTest(target.name), self.assertRaises(ConnectionError):
                with self.client.connect(target.ip, PORT) as connection:
                    connection.sendall(b"anyone?")
                    if not connection.recv(100):
                        self.fail("the connection ended as if the app had listened")


if __name__ == "__main__":
    mesh_case.main()
