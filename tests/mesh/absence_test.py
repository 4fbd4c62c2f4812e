"""While a node's tunnel is away its captured pods are cut off, and nobody speaks in clear; pods that
are not in the mesh never notice; when it is back it serves the pods that were there."""
import mesh_case
from lab import AMBIENT
from mesh_case import VIP, MeshCase
from program import wait_until
from steady import TEXT, Steady
from wire import HBONE_PORT

PORT = 8083
LISTENERS = {15001, 15006, 15008}


def listening(pod):
    """The tunnel's ports that are listened on in the pod's namespace."""
    lines = pod.run("ss", "-Hltn").stdout.splitlines()
    return LISTENERS & {int(line.split()[3].rsplit(":", 1)[1]) for line in lines}


class Absence(MeshCase):
    differences = {"the reason of a refusal": "ours says what is likely wrong"}

    @classmethod
    def make_mesh(cls):
        super().make_mesh()
        cls.outsider = cls.lab.add_pod("outsider", cls.lab.nodes[0])
        for pod in (cls.client, cls.server, cls.plain, cls.outsider):
            pod.serve("hold", PORT)
        cls.lab.wait_known(cls.outsider)

    def setUp(self):
        # On the node of the tunnel that goes: between plain pods, and to a pod of the mesh.
        self.unlabelled = [Steady(self.outsider, self.plain, PORT),
                           Steady(self.plain, self.outsider, PORT),
                           Steady(self.outsider, self.server, PORT)]
        for traffic in self.unlabelled:
            self.addCleanup(traffic.end)
            traffic.wait_more(3)
        self.node = self.lab.nodes[0]
        self.assertEqual(listening(self.client), LISTENERS)

    def tunnel_is_back(self):
        self.node.tunnel.start()
        self.node.wait_ready()
        self.lab.wait_captured(self.client)

    def exchange(self, pod, address, port=PORT):
        with pod.connect(address, port) as connection:
            connection.sendall(TEXT)
            if connection.recv(100) != TEXT:
                raise ConnectionError("no answer")

    def assert_nobody_speaks_with_the_client(self):
        for address, port in ((self.server.ip, PORT), (self.server.ip6, PORT), (VIP, 80),
                              (self.plain.ip, PORT)):
            with self.assertRaises(ConnectionRefusedError, msg=address):
                self.exchange(self.client, address, port)
        with self.assertRaises(ConnectionRefusedError):
            self.exchange(self.plain, self.client.ip)
        with self.assertRaises(ConnectionError):
            self.exchange(self.server, self.client.ip)
        tunnel = self.lab.nodes[1].tunnel
        reason = ("error=" if self.peer_differs("the reason of a refusal")
                  else f"connect to {self.client.ip}:{HBONE_PORT} was refused; no tunnel listens")
        wait_until("the other tunnel says why", lambda: [
            line for line in tunnel.log().splitlines()
            if reason in line])

    def test_a_labelled_pod_is_cut_off_and_an_unlabelled_one_does_not_notice(self):
        capture = self.lab.capture()
        self.node.tunnel.kill()
        self.assertEqual(listening(self.client), set())
        self.assert_nobody_speaks_with_the_client()
        late = self.lab.make_pod("late", self.node, labels=AMBIENT)
        refused = self.node.cnitool("add", late, check=False)
        self.assertNotEqual(refused.returncode, 0, "a labelled pod started without a tunnel")
        self.node.cnitool("del", late)
        for traffic in self.unlabelled:
            traffic.wait_more(5)
        self.tunnel_is_back()
        self.assertEqual(listening(self.client), LISTENERS)
        self.exchange(self.client, self.server.ip)
        self.exchange(self.server, self.client.ip)
        self.exchange(self.client, self.plain.ip)
        self.exchange(self.plain, self.client.ip)
        self.lab.cni_add(late)
        self.lab.wait_captured(late)
        for traffic in self.unlabelled:
            traffic.wait_more(5)
            traffic.end()
            self.assertEqual(traffic.troubles, 0, f"{traffic.pod.name}: {traffic}")
        self.lab.stop_capture(capture)
        self.assertEqual(capture.ports_between(self.client, self.server), {HBONE_PORT})
        self.lab.remove_pod(late)


if __name__ == "__main__":
    mesh_case.main()
