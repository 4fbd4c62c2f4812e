"""A lab in which the test itself says what the mesh is; see mesh_source.py.

The control plane of the lab still signs the certificates, the agents still decide what is captured.
Pods are announced as they are added, captured where they are labelled; services, waypoints, gateways
and policies are the test's to set.
"""
import os

from certificates import Authority
from lab import AMBIENT, Lab
from mesh_objects import ADDRESS, AUTHORIZATION, pod_uid, policy, service, workload
from mesh_source import MeshSource
from node import CONTROL_ADDRESS
from program import wait_until

SOURCE_PORT = 15013


class SourceLab(Lab):
    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.source = None
        self.fields = {}  # of a pod's workload, by the pod's name, beyond what the pod itself says

    def _make(self):
        super()._make()
        for node in self.nodes:
            node.tunnel.environment["XDS_ADDRESS"] = f"https://{CONTROL_ADDRESS}:{SOURCE_PORT}"

    def start_control(self):
        super().start_control()
        if self.source is None:
            wait_until("the authority's key is there", lambda: os.listdir(self.control_data))
            authority = Authority(os.path.join(self.folder, "source"), self.root_key(),
                                  self.root_certificate)
            certificate, key = authority.leaf(f"IP:{CONTROL_ADDRESS}")
            self.source = MeshSource(certificate, key, CONTROL_ADDRESS, SOURCE_PORT).__enter__()

    def announce(self, pod, **more):
        """(Again) what the mesh knows of the pod; `more` stays with it."""
        fields = self.fields.setdefault(pod.name, {})
        fields.update(more)
        captured = AMBIENT.items() <= pod.labels.items()
        self.source.set(ADDRESS, *workload(pod, captured, **fields))

    def cni_add(self, pod):
        result = super().cni_add(pod)
        self.announce(pod)
        return result

    def remove_pod(self, pod, check=True):
        super().remove_pod(pod, check)
        self.source.remove(ADDRESS, pod_uid(pod))
        self.fields.pop(pod.name, None)

    def set_service(self, *arguments, **more):
        self.source.set(ADDRESS, *service(*arguments, **more))

    def set_policy(self, *arguments, **more):
        self.source.set(AUTHORIZATION, *policy(*arguments, **more))

    def remove_policy(self, namespace, name):
        self.source.remove(AUTHORIZATION, f"{namespace}/{name}")

    def close(self):
        super().close()
        if self.source:
            self.source.__exit__()
            self.source = None
