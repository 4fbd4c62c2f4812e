"""The folder of Kubernetes manifests that stands in for an API server."""
import json
import os


def to_yaml(value, indent=0):
    """Block YAML of dicts, lists and scalars; strings are quoted as JSON does."""
    pad = "  " * indent
    if isinstance(value, dict) and value:
        return "".join(f"{pad}{_key(k)}:{_below(v, indent)}" for k, v in value.items())
    if isinstance(value, list) and value:
        return "".join(f"{pad}-{_item(v, indent)}" for v in value)
    return f"{pad}{json.dumps(value)}\n"


def _key(key):
    return key if key.replace("-", "").replace("/", "").replace(".", "").isalnum() else json.dumps(key)


def _below(value, indent):
    if isinstance(value, (dict, list)) and value:
        return "\n" + to_yaml(value, indent + 1)
    return f" {json.dumps(value)}\n"


def _item(value, indent):
    if isinstance(value, dict) and value:
        return " " + to_yaml(value, indent + 1).lstrip()
    return f" {json.dumps(value)}\n"


class ManifestFolder:
    def __init__(self, path):
        self.path = path
        os.makedirs(path, exist_ok=True)

    def write(self, name, *objects):
        """One file, replaced in one step, so that no reader sees half of it."""
        target = os.path.join(self.path, name + ".yaml")
        partial = os.path.join(self.path, f".{name}.partial")
        with open(partial, "w", encoding="utf-8") as file:
            file.write("---\n".join(to_yaml(o) for o in objects))
        os.rename(partial, target)
        return target

    def remove(self, name):
        os.unlink(os.path.join(self.path, name + ".yaml"))

    def namespace(self, name, labels=None):
        return self.write(f"namespace-{name}", {
            "apiVersion": "v1", "kind": "Namespace",
            "metadata": {"name": name, "labels": labels or {}}})

    def service(self, namespace, name, selector, addresses, ports):
        """ports: {service port: target port}"""
        return self.write(f"service-{namespace}-{name}", {
            "apiVersion": "v1", "kind": "Service",
            "metadata": {"name": name, "namespace": namespace},
            "spec": {"selector": selector, "clusterIP": addresses[0], "clusterIPs": addresses,
                     "ports": [{"name": f"tcp-{p}", "port": p, "targetPort": t, "protocol": "TCP"}
                               for p, t in ports.items()]}})


def pod_object(pod):
    metadata = {"name": pod.name, "namespace": pod.namespace, "uid": pod.uid, "labels": pod.labels}
    if pod.annotations:
        metadata["annotations"] = pod.annotations
    body = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata,
            "spec": {"serviceAccountName": pod.service_account, "nodeName": pod.node.name}}
    if pod.addresses:
        body["status"] = {
            "phase": "Running", "podIP": pod.addresses[0],
            "podIPs": [{"ip": a} for a in pod.addresses],
            "conditions": [{"type": "Ready", "status": "True"}]}
    return body
