"""Calls straight to the ports that the tunnel keeps for itself, by mistake or malice.

Runs with another tunnel, too: AMBIT_TUNNEL_UNDER_TEST.
"""
import json

import mesh_case
from mesh_case import MeshCase
from source_lab import SourceLab

REQUEST = b"GET /healthz/ready HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
TLS_ALERT = b"\x15\x03"
REFUSED, CLOSED, ANSWERED = "refused", "closed", "answered"


def outcome(pod, address, port):
    """What becomes of a connection that an app opens and writes a request to."""
    try:
        connection = pod.connect(address, port)
    except ConnectionRefusedError:
        return REFUSED
    except ConnectionResetError:
        return CLOSED
    with connection:
        try:
            connection.sendall(REQUEST)
            got = connection.recv(4096)
        except ConnectionError:
            return CLOSED
    return CLOSED if not got or got.startswith(TLS_ALERT) else ANSWERED


class Ports(MeshCase):
    lab_class = SourceLab

    @classmethod
    def make_mesh(cls):
        cls.make_pods()
        cls.await_pods()

    def assert_outcomes(self, pod, addresses, expected):
        for address in addresses:
            got = {port: outcome(pod, address, port) for port in expected}
            self.assertEqual(got, expected, address)

    def test_a_captured_pod_that_calls_its_own_tunnel_ports_gets_nothing(self):
        self.assert_outcomes(self.client, self.client.addresses,
                             {15001: CLOSED, 15006: CLOSED, 15008: CLOSED})
        self.assert_outcomes(self.client, ("127.0.0.1", "::1"),
                             {15001: CLOSED, 15006: CLOSED, 15008: CLOSED})

    def test_a_pod_has_no_pages_of_the_tunnel(self):
        for pod in (self.client, self.plain):
            self.assert_outcomes(pod, (*pod.addresses, "127.0.0.1", "::1"),
                                 {15000: REFUSED, 15020: REFUSED, 15021: REFUSED, 15080: REFUSED})

    def test_a_captured_pod_reaches_only_the_public_pages_of_the_node(self):
        node = self.client.node
        self.assert_outcomes(self.client, (node.address, node.address6), {
            15000: CLOSED, 15001: CLOSED, 15006: CLOSED, 15080: CLOSED,
            15020: ANSWERED, 15021: ANSWERED})

    def test_an_uncaptured_pod_reaches_only_the_public_pages_of_the_node(self):
        node = self.plain.node
        self.assert_outcomes(self.plain, (node.address, node.address6), {
            15000: REFUSED, 15001: REFUSED, 15006: REFUSED, 15080: REFUSED,
            15020: ANSWERED, 15021: ANSWERED})

    def test_a_captured_pods_tunnel_ports_give_nothing_to_others(self):
        for pod in (self.plain, self.client):
            self.assert_outcomes(pod, self.server.addresses,
                                 {15001: CLOSED, 15006: CLOSED, 15008: CLOSED})

    def test_a_port_without_a_listener_of_a_captured_pod_closes(self):
        self.assert_outcomes(self.plain, self.server.addresses, {15000: CLOSED, 8999: CLOSED})
        self.assert_outcomes(self.client, self.server.addresses, {15000: CLOSED, 8999: CLOSED})

    def tearDown(self):
        for pod in (self.client, self.server):
            state = json.loads(pod.node.get(15000, "/config_dump")[1])["workloadState"][pod.uid]
            self.assertEqual(state["state"], "Up", "the tunnel of the pod lives")


if __name__ == "__main__":
    mesh_case.main()
