"""etcd and the API server that PEER_KUBE_APISERVER names, inside the caller's namespaces.

No controller runs: what kubelet or a controller would write, the test writes.
"""
import base64
import http.client
import json
import os
import ssl

from program import LabError, Program, run, wait_until

PORT = 6443
ETCD = "http://127.0.0.1:2379"
AUDIENCES = ("https://kubernetes.default.svc", "istio-ca")
SERVICE_RANGES = "10.96.0.0/16,fd77:96::/112"
CLUSTER_WIDE = ("Namespace", "Node", "CustomResourceDefinition")


def plural(kind):
    return kind.lower()[:-1] + "ies" if kind.endswith("y") else kind.lower() + "s"


def collection(item):
    """The path of the folder the object is in."""
    version, kind = item["apiVersion"], item["kind"]
    root = f"/api/{version}" if version == "v1" else f"/apis/{version}"
    if kind in CLUSTER_WIDE:
        return f"{root}/{plural(kind)}"
    return f"{root}/namespaces/{item['metadata']['namespace']}/{plural(kind)}"


def path_of(item):
    return f"{collection(item)}/{item['metadata']['name']}"


def definition(group, kind, versions):
    """A definition that takes any object of the kind, without a schema of its own."""
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    return {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": f"{plural(kind)}.{group}"},
            "spec": {"group": group, "scope": "Namespaced",
                     "names": {"kind": kind, "listKind": f"{kind}List", "plural": plural(kind),
                               "singular": kind.lower()},
                     "versions": [{"name": v, "served": True, "storage": v == versions[0],
                                   "subresources": {"status": {}}, "schema": schema}
                                  for v in versions]}}


class Cluster:
    def __init__(self, folder, log_folder, address):
        self.folder, self.address = folder, address
        self.token = os.urandom(16).hex()
        os.makedirs(folder)
        self.kubeconfig = self._write("kubeconfig", json.dumps(self._kubeconfig()))
        key, tokens = os.path.join(folder, "accounts.key"), self._write(
            "tokens", f"{self.token},admin,1,system:masters\n")
        run(["openssl", "genrsa", "-out", key, "2048"])
        self.etcd = Program("etcd", [
            "etcd", "--data-dir", os.path.join(folder, "etcd"), "--listen-client-urls", ETCD,
            "--advertise-client-urls", ETCD, "--listen-peer-urls", "http://127.0.0.1:2380"],
            log_folder)
        self.server = Program("kube-apiserver", [
            os.environ["PEER_KUBE_APISERVER"], f"--etcd-servers={ETCD}",
            f"--bind-address={address}", f"--advertise-address={address}",
            f"--secure-port={PORT}", f"--cert-dir={os.path.join(folder, 'certificates')}",
            f"--service-account-issuer={AUDIENCES[0]}", f"--api-audiences={','.join(AUDIENCES)}",
            f"--service-account-signing-key-file={key}", f"--service-account-key-file={key}",
            f"--token-auth-file={tokens}", "--authorization-mode=RBAC", "--allow-privileged",
            f"--service-cluster-ip-range={SERVICE_RANGES}",
            # Without its controller no account would have what this plugin asks for.
            "--disable-admission-plugins=ServiceAccount"], log_folder)

    def _write(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path, "w", encoding="ascii") as file:
            file.write(text)
        return path

    def _kubeconfig(self):
        return {"apiVersion": "v1", "kind": "Config", "current-context": "it",
                "clusters": [{"name": "it", "cluster": {
                    "server": f"https://{self.address}:{PORT}", "insecure-skip-tls-verify": True}}],
                "users": [{"name": "it", "user": {"token": self.token}}],
                "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}]}

    def start(self):
        self.etcd.start()
        self.server.start()
        wait_until("the API server is ready", self._ready, 120)
        return self

    def _ready(self):
        for program in (self.etcd, self.server):
            if not program.running():
                raise LabError(f"{program.name} ended:\n{program.log()[-3000:]}")
        try:
            return self.call("GET", "/readyz")[0] == 200
        except OSError:
            return False

    def call(self, method, path, body=None, content="application/json"):
        """(status, body) of one request; a JSON answer is decoded."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        connection = http.client.HTTPSConnection(self.address, PORT, timeout=30, context=context)
        try:
            connection.request(method, path, json.dumps(body) if body is not None else None,
                               {"Authorization": f"Bearer {self.token}", "Content-Type": content})
            answer = connection.getresponse()
            text = answer.read().decode()
        finally:
            connection.close()
        return answer.status, json.loads(text) if text.startswith("{") else text

    def must(self, *request, accept=()):
        status, body = self.call(*request)
        if status >= 300 and status not in accept:
            raise LabError(f"{request[0]} {request[1]}: {status} {body}")
        return body

    def apply(self, item):
        """Creates the object; of one that exists, labels, annotations and status are replaced, and
        of other kinds than pods and namespaces the whole. The object as it is served."""
        status, served = self.call("POST", collection(item), item)
        if status == 409:
            if item["kind"] not in ("Pod", "Namespace"):
                self.delete(item)
                return self.apply(item)
            served = self.must("PATCH", path_of(item), [
                {"op": "add", "path": f"/metadata/{field}",
                 "value": item["metadata"].get(field, {})} for field in ("labels", "annotations")],
                "application/json-patch+json")
        elif status >= 300:
            raise LabError(f"POST {collection(item)}: {status} {served}")
        if "status" in item:
            served = self.must("PATCH", path_of(item) + "/status", {"status": item["status"]},
                               "application/merge-patch+json")
        return served

    def delete(self, item):
        return self.must("DELETE", path_of(item), {"gracePeriodSeconds": 0}, accept=(404,))

    def define(self, group, kind, *versions):
        item = definition(group, kind, versions)
        self.apply(item)

        def served():
            return self.call("GET", f"/apis/{group}/{versions[0]}/{plural(kind)}")[0] == 200
        wait_until(f"{kind} is served", served, 60)

    def secret(self, namespace, name, field):
        """The bytes of a field; None where the secret or the field is not there yet."""
        status, body = self.call("GET", f"/api/v1/namespaces/{namespace}/secrets/{name}")
        text = body.get("data", {}).get(field) if status == 200 else None
        return base64.b64decode(text) if text else None

    def mint_token(self, pod, audience):
        """A token of the pod's service account that is bound to the pod."""
        metadata, account = pod["metadata"], pod["spec"]["serviceAccountName"]
        path = f"/api/v1/namespaces/{metadata['namespace']}/serviceaccounts/{account}/token"
        return self.must("POST", path, {
            "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest",
            "spec": {"audiences": [audience], "expirationSeconds": 3600,
                     "boundObjectRef": {"apiVersion": "v1", "kind": "Pod",
                                        "name": metadata["name"], "uid": metadata["uid"]}}},
            )["status"]["token"]
