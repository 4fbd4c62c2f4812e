"""One istiod, our tunnel on one node and the one PEER_TUNNEL names on the other: both hold what
istiod announced, and both say the same of it in /config_dump."""
import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, "mesh"))
# pylint: disable=wrong-import-position
import mesh_case
from istiod_lab import SYSTEM, IstiodLab
from mesh_case import MeshCase
from program import wait_until

KINDS = ("workloads", "services", "policies")


def keyed(kind, items):
    """{what names the resource: resource} of a list, or of a map's values."""
    items = items.values() if isinstance(items, dict) else items
    names = {"workloads": lambda i: i["uid"], "services": lambda i: f"{i['namespace']}/{i['hostname']}",
             "policies": lambda i: f"{i['namespace']}/{i['name']}"}
    return {names[kind](item): item for item in items}


def in_order(value):
    """Lists are sets here: istiod orders few of them, and each tunnel its own way."""
    if isinstance(value, dict):
        return {k: in_order(v) for k, v in value.items()}
    if isinstance(value, list):
        return sorted((in_order(v) for v in value), key=lambda v: json.dumps(v, sort_keys=True))
    return value


def differences(where, ours, theirs):
    """One line per place where they are not the same."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key in sorted(ours.keys() | theirs.keys()):
            yield from differences(f"{where}.{key}", ours.get(key), theirs.get(key))
    elif ours != theirs:
        yield f"{where}: ours {json.dumps(ours)}, the peer's {json.dumps(theirs)}"


def policy(name, namespace, spec, annotations=None):
    return {"apiVersion": "security.istio.io/v1", "kind": "AuthorizationPolicy",
            "metadata": {"name": name, "namespace": namespace, "annotations": annotations or {}},
            "spec": spec}


def peer_authentication(name, namespace, spec):
    return {"apiVersion": "security.istio.io/v1", "kind": "PeerAuthentication",
            "metadata": {"name": name, "namespace": namespace}, "spec": spec}


def service(name, spec, annotations=None):
    ports = [{"name": "tcp", "port": 80, "targetPort": 8080}]
    return {"apiVersion": "v1", "kind": "Service",
            "metadata": {"name": name, "namespace": "demo", "annotations": annotations or {}},
            "spec": {"selector": {"app": "server"}, "ports": ports, **spec}}


OBJECTS = [
    policy("everyone", SYSTEM, {"action": "ALLOW", "rules": [{}]}),
    policy("nobody-else", "demo", {"action": "ALLOW", "rules": [
        {"from": [{"source": {"principals": ["cluster.local/ns/demo/sa/client", "*/sa/ops"],
                              "notPrincipals": ["cluster.local/ns/demo/*"]}},
                  {"source": {"namespaces": ["demo", "*"], "notNamespaces": ["evil"]}},
                  {"source": {"ipBlocks": ["10.77.0.0/16", "fd77::/16", "1.2.3.4"],
                              "notIpBlocks": ["10.77.9.0/24"]}},
                  {"source": {"serviceAccounts": ["demo/client", "other"]}}],
         "to": [{"operation": {"ports": ["80", "8080"], "notPorts": ["9090"]}}],
         "when": [{"key": "destination.port", "values": ["8080"]},
                  {"key": "source.ip", "notValues": ["10.1.0.0/16"]},
                  {"key": "destination.ip", "values": ["10.77.0.0/16"]},
                  {"key": "source.namespace", "values": ["demo"]}]}]}),
    policy("would-deny", "demo", {"action": "DENY", "rules": [
        {"to": [{"operation": {"ports": ["1"]}}]}]}, {"istio.io/dry-run": "true"}),
    policy("no-http", "demo", {"selector": {"matchLabels": {"app": "server"}}, "action": "DENY",
                               "rules": [{"to": [{"operation": {"methods": ["POST"]}}]}]}),
    policy("nothing", "demo", {"selector": {"matchLabels": {"app": "client"}}}),
    peer_authentication("demo", "demo", {"mtls": {"mode": "STRICT"}}),
    peer_authentication("server", "demo", {
        "selector": {"matchLabels": {"app": "server"}}, "mtls": {"mode": "STRICT"},
        "portLevelMtls": {"8080": {"mode": "PERMISSIVE"}, "9090": {"mode": "STRICT"}}}),
    service("headless", {"clusterIP": "None"}),
    service("near", {"trafficDistribution": "PreferSameZone"}),
    service("node-local", {"internalTrafficPolicy": "Local"}),
    service("private", {}, {"networking.istio.io/exportTo": "."}),
    service("unready", {"publishNotReadyAddresses": True}),
    service("six", {"ipFamilies": ["IPv6"], "ipFamilyPolicy": "SingleStack"}),
    {"apiVersion": "networking.istio.io/v1", "kind": "ServiceEntry",
     "metadata": {"name": "outside", "namespace": "demo"},
     "spec": {"hosts": ["a.example.com", "*.b.example.com"], "addresses": ["240.1.1.1", "240.2.0.0/16"],
              "ports": [{"number": 443, "name": "tls", "protocol": "TLS"}], "resolution": "STATIC",
              "endpoints": [{"address": "9.9.9.9", "weight": 7,
                             "locality": "there/zone-9/rack-3"}]}},
    {"apiVersion": "networking.istio.io/v1", "kind": "ServiceEntry",
     "metadata": {"name": "named", "namespace": "demo"},
     "spec": {"hosts": ["c.example.com"], "resolution": "DNS", "addresses": ["240.1.1.2"],
              "ports": [{"number": 80, "name": "http", "protocol": "HTTP", "targetPort": 8080}],
              "endpoints": [{"address": "backend.example.com"}]}},
    {"apiVersion": "networking.istio.io/v1", "kind": "WorkloadEntry",
     "metadata": {"name": "machine", "namespace": "demo",
                  "annotations": {"ambient.istio.io/redirection": "enabled"}},
     "spec": {"address": "10.9.9.9", "labels": {"app": "server"}, "serviceAccount": "vm",
              "weight": 3, "ports": {"tcp": 9080}}},
]


class Dumps(MeshCase):
    lab_class = IstiodLab
    environment = {"RUST_LOG": "info"}

    @classmethod
    def setUpClass(cls):
        cls.tunnels = (None, [os.environ["PEER_TUNNEL"], "proxy", "ztunnel"])
        super().setUpClass()

    @classmethod
    def make_mesh(cls):
        super().make_mesh()
        for item in OBJECTS:
            cls.lab.cluster.apply(item)
        waiting = cls.lab.add_pod("waiting", cls.lab.nodes[1], labels={"app": "server"})
        cls.lab.cluster.must("PATCH", "/api/v1/namespaces/demo/pods/waiting/status", {
            "status": {"conditions": [{"type": "Ready", "status": "False"}]}},
            "application/merge-patch+json")
        cls.lab.wait_known(waiting)

    def dumps(self):
        """Of both tunnels, {kind: {name: resource}}."""
        return [{kind: keyed(kind, body[kind]) for kind in KINDS}
                for body in map(self.lab.dump, self.lab.nodes)]

    def announced(self):
        return {kind: keyed(kind, items) for kind, items in self.lab.announced().items()}

    def await_announced(self, tunnel):
        """Both tunnels name what istiod announces, and nothing else."""
        def names():
            said, held = self.announced(), self.dumps()[tunnel]
            return all(said[kind].keys() == held[kind].keys() for kind in KINDS) and said
        try:
            return wait_until("the tunnel holds what istiod announced", names)
        except Exception:
            said, held = self.announced(), self.dumps()[tunnel]
            print({kind: sorted(said[kind].keys() ^ held[kind].keys()) for kind in KINDS},
                  file=sys.stderr)
            raise

    def test_each_tunnel_holds_what_istiod_announced(self):
        for tunnel, node in enumerate(self.lab.nodes):
            with self.subTest(node.tunnel.arguments[0]):
                said = self.await_announced(tunnel)
                self.assertGreater(len(said["policies"]), 4)

    def test_both_say_the_same_of_each_resource(self):
        for tunnel in (0, 1):
            self.await_announced(tunnel)
        ours, theirs = map(in_order, self.dumps())
        self.assertEqual([], [line for kind in KINDS
                              for line in differences(kind, ours[kind], theirs[kind])])


if __name__ == "__main__":
    mesh_case.main()
