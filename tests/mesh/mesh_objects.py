"""The mesh's own objects, workloads, services and policies, as protobuf messages of the wire.

A message is a dict of field names; a list is a repeated field, an Enum value goes without quotes,
an address is bytes. protoc makes the bytes, from the project's own .proto files.
"""
import ipaddress
import os
import subprocess

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
ADDRESS, AUTHORIZATION = "istio.workload.Address", "istio.security.Authorization"
SCHEMAS = {ADDRESS: "proto/workload.proto", AUTHORIZATION: "proto/authorization.proto"}


class Enum(str):
    """A value of an enumeration."""


def packed(address):
    return ipaddress.ip_address(address).packed


def to_text(message):
    """Protobuf's text format."""
    return " ".join(_field(name, value) for name, value in message.items())


def _field(name, value):
    if isinstance(value, list):
        return " ".join(_field(name, one) for one in value)
    if isinstance(value, dict):
        return f"{name} {{ {to_text(value)} }}"
    if isinstance(value, bool):
        return f"{name}: {str(value).lower()}"
    if isinstance(value, (Enum, int)):
        return f"{name}: {value}"
    raw = value if isinstance(value, bytes) else value.encode()
    return f'{name}: "' + "".join(f"\\{byte:03o}" for byte in raw) + '"'


def encode(kind, message):
    return subprocess.run(
        ["protoc", f"--encode={kind}", f"--proto_path={ROOT}", "--proto_path=/usr/include",
         SCHEMAS[kind]], input=to_text(message).encode(), stdout=subprocess.PIPE, cwd=ROOT,
        check=True, timeout=60).stdout


def pod_uid(pod):
    return f"Kubernetes//Pod/{pod.namespace}/{pod.name}"


def workload(pod, captured=True, **more):
    """(name, Address) of a pod; `more` adds fields or replaces them."""
    name = pod_uid(pod)
    return name, {"workload": {
        "uid": name, "name": pod.name, "namespace": pod.namespace,
        "addresses": [packed(a) for a in pod.addresses],
        "tunnel_protocol": Enum("HBONE" if captured else "NONE"), "trust_domain": "cluster.local",
        "service_account": pod.service_account, "node": pod.node.name,
        "canonical_name": pod.labels.get("app", pod.name), "canonical_revision": "latest",
        "workload_type": Enum("POD"), "workload_name": pod.name, "cluster_id": "Kubernetes",
        **more}}


def ports(mapping):
    return [{"service_port": port, "target_port": target} for port, target in mapping.items()]


def serves(services):
    """The field of a workload that makes it an endpoint: {(namespace, hostname): {port: target}}."""
    return {"services": [{"key": f"{namespace}/{hostname}", "value": {"ports": ports(mapping)}}
                         for (namespace, hostname), mapping in services.items()]}


def service(namespace, hostname, addresses, mapping, network="", **more):
    """(name, Address) of a service with virtual addresses and {service port: target port}."""
    return f"{namespace}/{hostname}", {"service": {
        "name": hostname.split(".")[0], "namespace": namespace, "hostname": hostname,
        "addresses": [{"network": network, "address": packed(a)} for a in addresses],
        "ports": ports(mapping), **more}}


def by_address(address, port=15008, network=""):
    """A waypoint or gateway that is named by its address."""
    return {"address": {"network": network, "address": packed(address)}, "hbone_mtls_port": port}


def by_hostname(namespace, hostname, port=15008):
    return {"hostname": {"namespace": namespace, "hostname": hostname}, "hbone_mtls_port": port}


def policy(namespace, name, action, rules, scope="NAMESPACE", **more):
    """(name, Authorization); rules as in the message: clauses of matches."""
    return f"{namespace}/{name}", {
        "name": name, "namespace": namespace, "scope": Enum(scope), "action": Enum(action),
        "rules": rules, **more}


def one_rule(**match):
    """The rules of a policy with a single match."""
    return [{"clauses": [{"matches": [match]}]}]
