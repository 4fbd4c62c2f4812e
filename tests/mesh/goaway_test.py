"""A peer that goes away at the moment it is asked: the next connection of the same app is not lost."""
import os

import mesh_case
from certificates import Authority, server_context
from hbone_peer import Server
from mesh_case import MeshCase
from mesh_objects import Enum
from source_lab import SourceLab


class Goaway(MeshCase):
    lab_class = SourceLab
    differences = {"a new tunnel that hears GOAWAY first": "the peer fails the connection that had it "
                   "made; ours makes another one, since nothing has been sent yet"}

    @classmethod
    def make_mesh(cls):
        cls.make_pods()
        cls.await_pods()
        mesh = Authority(os.path.join(cls.lab.folder, "mesh-ca"), cls.lab.root_key(),
                         cls.lab.root_certificate)
        cls.context = server_context(mesh.leaf(f"URI:{cls.plain.spiffe}"))
        cls.lab.announce(cls.plain, tunnel_protocol=Enum("HBONE"))

    def talk(self, address):
        with self.client.connect(address, 8080) as connection:
            connection.sendall(b"hello")
            return connection.recv(100)

    def test_a_tunnel_that_hears_goaway_before_its_first_stream_is_replaced(self):
        server = Server(self.plain, self.context)
        self.addCleanup(server.close)
        for address in self.plain.addresses:
            before = server.connections
            server.goaways = before + 1
            try:
                self.assertEqual(self.talk(address), b"hello")
                self.assertEqual(server.connections, before + 2)
            except ConnectionError:
                if not self.peer_differs("a new tunnel that hears GOAWAY first"):
                    raise


if __name__ == "__main__":
    mesh_case.main()
