"""Policies that come and go while connections are open, as the mesh's own source says them."""
import mesh_case
from mesh_case import MeshCase
from mesh_objects import one_rule
from program import wait_until
from source_lab import SourceLab

PORT = 8083


class Policy(MeshCase):
    lab_class = SourceLab

    @classmethod
    def make_mesh(cls):
        cls.make_pods()
        cls.await_pods()
        cls.server.serve("hold", PORT)

    def talk(self, pod, address):
        with pod.connect(address, PORT) as connection:
            connection.sendall(b"hello")
            return connection.recv(100)

    def addresses(self):
        return (self.server.ip, self.server.ip6)

    def test_a_denied_principal_is_cut_at_once_and_others_are_not(self):
        name = ("demo", "no-client")
        held = [(pod, pod.connect(address, PORT)) for pod in (self.client, self.plain)
                for address in self.addresses()]
        for _, connection in held:
            self.addCleanup(connection.close)
            connection.sendall(b"1")
            self.assertEqual(connection.recv(10), b"1")
        self.lab.set_policy(*name, "DENY", one_rule(principals=[{"exact":
            self.client.spiffe.removeprefix("spiffe://")}]))
        self.addCleanup(self.lab.remove_policy, *name)
        for pod, connection in held:
            if pod is self.client:
                try:
                    self.assertEqual(connection.recv(10), b"")
                except ConnectionResetError:
                    pass
            else:
                connection.sendall(b"2")
                self.assertEqual(connection.recv(10), b"2")
        wait_until("the log says why", lambda: "closed due to policy change"
                   in self.server.node.tunnel.log())
        for address in self.addresses():
            try:
                self.assertEqual(self.talk(self.client, address), b"")
            except ConnectionResetError:
                pass
            self.assertEqual(self.talk(self.plain, address), b"hello")


if __name__ == "__main__":
    mesh_case.main()
