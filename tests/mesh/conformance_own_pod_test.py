"""A tunnel's own pod is in the mesh, too: a captured pod reads its metrics over mTLS.

Runs with another tunnel, too: AMBIT_TUNNEL_UNDER_TEST.
"""
import http.client
import os
import types
import uuid

import mesh_case
from certificates import Authority, client_context
from hbone_peer import Tunnel, authority_of
from manifests import pod_object
from mesh_case import MeshCase
from mesh_objects import ADDRESS, workload
from program import wait_until
from source_lab import SourceLab

NAMESPACE, ACCOUNT = "istio-system", "ztunnel"
IDENTITY = f"spiffe://cluster.local/ns/{NAMESPACE}/sa/{ACCOUNT}"


class OwnPod(MeshCase):
    lab_class = SourceLab

    @classmethod
    def make_mesh(cls):
        cls.lab.manifests.namespace(NAMESPACE)
        own = []
        for node in cls.lab.nodes:
            own.append(types.SimpleNamespace(
                name=f"ztunnel-{node.name}", namespace=NAMESPACE, service_account=ACCOUNT,
                node=node, labels={}, annotations={}, uid=str(uuid.uuid4()),
                addresses=[node.address, node.address6]))
            cls.lab.manifests.write(f"pod-{own[-1].name}", pod_object(own[-1]))
            node.tunnel.environment.update(POD_NAME=own[-1].name, POD_NAMESPACE=NAMESPACE,
                                           SERVICE_ACCOUNT=ACCOUNT)
        cls.make_pods()
        cls.await_pods()
        for pod in own:
            cls.lab.source.set(ADDRESS, *workload(pod))

    def read_metrics(self, pod, address):
        connection = http.client.HTTPConnection(address, 15020, timeout=20)
        connection.sock = pod.connect(address, 15020)
        with connection.sock:
            connection.request("GET", "/metrics")
            return connection.getresponse().read().decode()

    def line(self, node, offset, direction):
        texts = ("connection complete", f'direction="{direction}"', f'dst.identity="{IDENTITY}"',
                 f'src.identity="{self.client.spiffe}"')
        return wait_until(f"{node.name} has logged the {direction} connection", lambda: next(
            (row for row in node.tunnel.log()[offset:].splitlines()
             if all(text in row for text in texts)), None))

    def test_a_captured_pod_reads_the_metrics_of_either_node_over_mtls(self):
        for node in self.lab.nodes:
            for address in (node.address, node.address6):
                offsets = [len(n.tunnel.log()) for n in self.lab.nodes]
                self.assertIn("istio_build", self.read_metrics(self.client, address))
                self.line(self.client.node, offsets[0], "outbound")
                self.line(node, offsets[self.lab.nodes.index(node)], "inbound")

    def test_an_uncaptured_pod_reads_them_in_clear(self):
        for node in self.lab.nodes:
            self.assertIn("istio_build", self.read_metrics(self.plain, node.address))

    def test_only_peers_of_the_mesh_come_in_and_only_to_the_pods_own_address(self):
        node = self.lab.nodes[1]
        mesh = Authority(os.path.join(self.lab.folder, "own-pod-ca"), self.lab.root_key(),
                         self.lab.root_certificate)
        context = client_context(mesh.leaf("URI:spiffe://cluster.local/ns/demo/sa/scraper"))
        for address in (node.address, node.address6):
            with Tunnel(self.plain, address, context) as tunnel:
                self.assertEqual(tunnel.status(authority_of(address, 15020)), "200")
                self.assertEqual(tunnel.status(authority_of(self.server.ip, 15020)), "400")
                self.assertEqual(tunnel.status(authority_of(address, 15001)), "503")
            with self.assertRaises(OSError), Tunnel(self.plain, address, client_context()) as none:
                none.ask(authority_of(address, 15020))


if __name__ == "__main__":
    mesh_case.main()
