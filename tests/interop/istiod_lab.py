"""The lab with Istio's control plane in place of ours: the binaries that PEER_ISTIOD and
PEER_KUBE_APISERVER name. The agents still read the folder of manifests; every object of it is in
the API server too, for istiod to announce."""
import copy
import http.client
import json
import os

from cluster import Cluster
from lab import AMBIENT, Lab
from manifests import ManifestFolder
from node import CONTROL_ADDRESS
from program import LabError, Program, wait_until

SYSTEM = "istio-system"
HOSTNAME = f"istiod.{SYSTEM}.svc"
DEFINED = (("security.istio.io", "AuthorizationPolicy"), ("security.istio.io", "PeerAuthentication"),
           ("networking.istio.io", "ServiceEntry"), ("networking.istio.io", "WorkloadEntry"))


def served_form(item):
    """What the API server needs beside what a manifest of the lab says."""
    item = copy.deepcopy(item)
    if item["kind"] == "Pod":
        item["metadata"].pop("uid", None)
        captured = AMBIENT.items() <= item["metadata"].get("labels", {}).items()
        if captured:  # as an agent with an API server writes it
            item["metadata"].setdefault("annotations", {})[
                "ambient.istio.io/redirection"] = "enabled"
        item["spec"].update(containers=[{"name": "app", "image": "none"}],
                            automountServiceAccountToken=False)
    if item["kind"] == "Service":
        item["spec"]["ipFamilyPolicy"] = "PreferDualStack"
    return item


class MirroredFolder(ManifestFolder):
    """A folder of manifests whose objects are in the cluster as well."""

    def __init__(self, path, cluster):
        super().__init__(path)
        self.cluster, self._objects = cluster, {}

    def write(self, name, *objects):
        for item in objects:
            served = self.cluster.apply(served_form(item))
            if item["kind"] == "Pod":
                item["metadata"]["uid"] = served["metadata"]["uid"]
        self._objects[name] = objects
        return super().write(name, *objects)

    def remove(self, name):
        for item in self._objects.pop(name):
            self.cluster.delete(served_form(item))
        super().remove(name)

    def uid(self, name):
        return self._objects[name][0]["metadata"]["uid"]


class IstiodLab(Lab):
    def _make_control(self):
        self.cluster = Cluster(os.path.join(self.folder, "cluster"), self.log_folder,
                               CONTROL_ADDRESS)
        self.programs += [self.cluster.etcd, self.cluster.server]
        self.cluster.start()
        for group, kind in DEFINED:
            self.cluster.define(group, kind, "v1", "v1beta1")
        self.manifests = MirroredFolder(self.manifests.path, self.cluster)
        self.root_certificate = os.path.join(self.folder, "istio-root.pem")
        self._make_system()
        self.control = Program(
            "istiod", [os.environ["PEER_ISTIOD"], "discovery", "--shutdownDuration", "1s",
                       "--kubeconfig", self.cluster.kubeconfig, "--namespace", SYSTEM],
            self.log_folder, None, self._istiod_environment())

    def _istiod_environment(self):
        return {"PILOT_ENABLE_AMBIENT": "true", "CA_TRUSTED_NODE_ACCOUNTS": f"{SYSTEM}/ztunnel",
                "POD_NAME": "istiod", "POD_NAMESPACE": SYSTEM, "CLUSTER_ID": "Kubernetes",
                "VALIDATION_WEBHOOK_CONFIG_NAME": "", "INJECTION_WEBHOOK_CONFIG_NAME": "",
                "ROOT_CA_DIR": os.path.join(self.folder, "no-root-of-ours"),
                # Only its own node's pods may be asked for: no other way in for a tunnel.
                "ENABLE_CA_SERVER": "true", "TOKEN_AUDIENCES": "istio-ca"}

    def _make_system(self):
        apply = self.cluster.apply
        apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SYSTEM}})
        apply({"apiVersion": "v1", "kind": "ServiceAccount",
               "metadata": {"name": "ztunnel", "namespace": SYSTEM}})
        for node in self.nodes:
            apply({"apiVersion": "v1", "kind": "Node", "metadata": {"name": node.name, "labels": {
                "topology.kubernetes.io/region": "here",
                "topology.kubernetes.io/zone": f"zone-{node.number}"}}})
            node.tunnel_pod = apply({
                "apiVersion": "v1", "kind": "Pod",
                "metadata": {"name": f"ztunnel-{node.name}", "namespace": SYSTEM},
                "spec": {"nodeName": node.name, "serviceAccountName": "ztunnel",
                         "automountServiceAccountToken": False,
                         "containers": [{"name": "tunnel", "image": "none"}]}})
            node.tunnel.environment.update(
                POD_NAME=f"ztunnel-{node.name}", POD_NAMESPACE=SYSTEM, SERVICE_ACCOUNT="ztunnel",
                INSTANCE_IP=node.address, ALT_XDS_HOSTNAME=HOSTNAME, ALT_CA_HOSTNAME=HOSTNAME,
                XDS_ROOT_CA=self.root_certificate, CA_ROOT_CA=self.root_certificate)

    def start_control(self):
        """istiod, from its start to where tunnels can use it, their tokens included."""
        self.control.start()
        wait_until("istiod is ready", self._istiod_ready, 120)
        root = wait_until("istiod has made its root", lambda: self.cluster.secret(
            SYSTEM, "istio-ca-secret", "ca-cert.pem"), 60)
        with open(self.root_certificate, "wb") as file:
            file.write(root)
        for node in self.nodes:
            with open(node.tunnel.environment["AUTH_TOKEN"], "w", encoding="ascii") as file:
                file.write(self.cluster.mint_token(node.tunnel_pod, "istio-ca"))

    def _istiod_ready(self):
        if not self.control.running():
            raise LabError(f"istiod ended:\n{self.control.log()[-3000:]}")
        try:
            return self.ask_istiod("/ready")[0] == 200
        except OSError:
            return False

    def ask_istiod(self, path):
        """(status, text) of a page of istiod's own."""
        connection = http.client.HTTPConnection("127.0.0.1", 8080, timeout=10)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def announced(self):
        """What istiod tells tunnels, by the names of the resources."""
        body = json.loads(self.ask_istiod("/debug/ambientz")[1])
        return {kind: body.get(kind) or [] for kind in ("workloads", "services", "policies")}

    def make_pod(self, name, node, **options):
        pod = super().make_pod(name, node, **options)
        pod.uid = self.manifests.uid(f"pod-{pod.namespace}-{pod.name}")
        return pod

    def dump(self, node):
        return json.loads(node.get(15000, "/config_dump")[1])
