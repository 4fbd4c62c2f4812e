"""What the whole-mesh tests share: a lab per class, its logs where something failed."""
import os
import sys
import unittest

import isolation
from lab import AMBIENT, Lab

VIP, VIP6 = "10.96.0.10", "fd77:96::10"


class MeshCase(unittest.TestCase):
    """A client on node-a and a server on node-b in the mesh, a plain pod on node-b outside."""
    lab_class = Lab
    main_plugin = "ptp"
    environment = {}
    tunnels = (None, None)
    # Where ours differs from the tunnel it stands in for, on purpose: {name: reason}. Of a test's own
    # name: with another tunnel it fails, and is expected to.
    differences = {}
    # Why there is nothing to see of another tunnel in the whole class.
    only_ours = None

    @classmethod
    def setUpClass(cls):
        if cls.only_ours and other_tunnel():
            return
        cls.lab = cls.lab_class(main_plugin=cls.main_plugin, environment=cls.environment,
                                tunnels=cls.tunnels)
        cls.addClassCleanup(cls.lab.close)
        cls.lab.__enter__()
        try:
            cls.make_mesh()
        except BaseException:
            print(cls.lab.logs(), file=sys.stderr)
            raise

    @classmethod
    def make_pods(cls):
        cls.lab.manifests.namespace("demo")
        cls.lab.start()
        node_a, node_b = cls.lab.nodes
        cls.client = cls.lab.add_pod("client", node_a, labels={"app": "client", **AMBIENT},
                                     service_account="client")
        cls.server = cls.lab.add_pod("server", node_b, labels={"app": "server", **AMBIENT},
                                     service_account="server")
        cls.plain = cls.lab.add_pod("plain", node_b, labels={"app": "plain"})

    @classmethod
    def make_mesh(cls):
        cls.make_pods()
        cls.lab.manifests.service("demo", "server", {"app": "server"}, [VIP, VIP6], {80: 8080})
        cls.await_mesh()

    @classmethod
    def await_mesh(cls):
        cls.await_pods()
        cls.lab.wait_known(cls.plain)
        for node in cls.lab.nodes:
            cls.lab.wait_text(node, VIP)

    @classmethod
    def await_pods(cls):
        """Both labelled pods are served and known as such."""
        for pod in (cls.client, cls.server):
            cls.lab.wait_captured(pod)
            cls.lab.wait_protocol(pod, "HBONE")

    @classmethod
    def tearDownClass(cls):
        if cls.only_ours and other_tunnel():
            return
        ended = cls.lab.end_programs()
        if any(ended.values()):
            print(cls.lab.logs(), file=sys.stderr)
            raise AssertionError(f"after SIGTERM: {ended}")

    def run(self, result=None):
        name = self._testMethodName
        if self.only_ours and other_tunnel():
            print(f"{self.id()}: not with another tunnel: {self.only_ours}")
            return None
        if name in self.differences and self.peer_differs(name):
            self.__unittest_expecting_failure__ = True
        known = len(result.failures) + len(result.errors) if result else 0
        outcome = super().run(result)
        if result and len(result.failures) + len(result.errors) > known:
            print(f"--- logs after {self.id()}\n{self.lab.logs()}", file=sys.stderr)
        return outcome

    def peer_differs(self, name):
        """Whether the tunnel under test is another one, so that the named difference holds."""
        reason = self.differences[name]
        if other_tunnel():
            print(f"{self.id()}: differs on purpose: {name}: {reason}")
        return other_tunnel()

    def secret(self):
        return f"secret-{os.urandom(8).hex()}"

    def captured_ask(self, pod, host, port=8080):
        """(secret, answer, capture) of one `ask`."""
        secret, capture = self.secret(), self.lab.capture()
        answer = pod.app("ask", host, port, secret, check=False).stdout
        return secret, answer, self.lab.stop_capture(capture)


def other_tunnel():
    """Whether AMBIT_TUNNEL_UNDER_TEST has put another tunnel in the place of ours."""
    return bool(os.environ.get("AMBIT_TUNNEL_UNDER_TEST"))


def main():
    """Runs the module's tests in namespaces of their own."""
    isolation.enter()
    try:
        unittest.main(verbosity=2)
    except isolation.Stopped as stopped:
        sys.exit(f"stopped by {stopped}")
