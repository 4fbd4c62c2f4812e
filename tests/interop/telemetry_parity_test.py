"""The same traffic through ztunnel-lite and through the tunnel PEER_TUNNEL names: the same metrics
and the same lines of the access log, but for what is listed here."""
import json
import os
import re
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, "mesh"))
# pylint: disable=wrong-import-position
import isolation
from lab import AMBIENT, Lab
from program import wait_until
from resolver import ask_by_udp, question

VIP = "10.96.0.10"
# What only one of them has. The runtime of ztunnel is tokio; the metrics about metrics are ours.
ONLY_PEER = re.compile(r"tokio_")
ONLY_OURS = re.compile(r"ambit_")
# What differs from run to run; errors are said in words of our own.
VARYING = {"src.addr", "duration", "time", "error"}


class Node:
    """What one node's tunnel said of the traffic."""

    def __init__(self, node):
        self.log = node.tunnel.log()
        status, self.metrics = node.get(15020, "/metrics")
        assert status == 200
        self.dump = json.loads(node.get(15000, "/config_dump")[1])

    def families(self):
        """{name: (type, help)}"""
        helps = dict(re.findall(r"^# HELP (\S+) (.*)$", self.metrics, re.M))
        return {name: (kind, helps.get(name))
                for name, kind in re.findall(r"^# TYPE (\S+) (\S+)$", self.metrics, re.M)}

    def series(self, name):
        """The label sets of a sample, in the order written, sorted."""
        found = []
        for labels in re.findall(rf"^{name}\{{(.*)\}} \S+$", self.metrics, re.M):
            found.append(tuple(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', labels)))
        return sorted(found)

    def access(self):
        """The lines of finished connections: level, message and fields in order."""
        return self.lines("access")

    def lines(self, scope):
        lines = []
        for line in self.log.splitlines():
            if line.startswith("{"):
                entry = json.loads(line)
                if entry.get("scope") == scope and entry.get("message") != "connection opened":
                    lines.append([(k, v) for k, v in entry.items()])
            elif f"\t{scope}\t" in line and "connection opened" not in line:
                _, level, _, *message, fields = line.split("\t")
                pairs = re.findall(r'([\w.]+)=("(?:[^"\\]|\\.)*"|\S+)', fields)
                lines.append([("level", level), *(("message", m) for m in message), *pairs])
        return lines


def run_traffic(tunnels, environment):
    """What the client's and the server's tunnel said; each side is ours where `tunnels` has None."""
    with Lab(tunnels=tunnels, environment={"AMBIENT_DNS_CAPTURE": "true", "RUST_LOG": "info,dns=debug",
                                           "ISTIO_META_ISTIO_VERSION": "1.2.3",
                                           **environment}) as lab:
        lab.manifests.namespace("demo")
        lab.start()
        node_a, node_b = lab.nodes
        client = lab.add_pod("client", node_a, labels={"app": "client", **AMBIENT},
                             service_account="client")
        server = lab.add_pod("server", node_b, labels={"app": "server", **AMBIENT},
                             service_account="server")
        plain = lab.add_pod("plain", node_b, labels={"app": "plain"})
        lab.manifests.service("demo", "server", {"app": "server"}, [VIP], {80: 8080, 81: 9})
        for pod in (client, server):
            lab.wait_captured(pod)
            lab.wait_protocol(pod, "HBONE")
        lab.wait_known(plain)
        for node in lab.nodes:
            lab.wait_text(node, VIP)
        for pod in (server, plain):
            pod.serve("say", 8080)
        for source, host, port in ((client, server.ip, 8080), (client, VIP, 80),
                                   (client, plain.ip, 8080), (plain, server.ip, 8080),
                                   (client, VIP, 81), (client, VIP, 82)):
            source.app("ask", host, port, "0123456789", check=False)
        ask_by_udp(client, VIP, question("server.demo.svc.cluster.local"))
        for node, lines in ((node_a, 5), (node_b, 4)):
            wait_until(f"{node.name} has said all",
                       lambda n=node, c=lines: len(Node(n).access()) >= c)
        return Node(node_a), Node(node_b)


class Parity(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        peer = [os.environ["PEER_TUNNEL"], "proxy", "ztunnel"]
        cls.sides = {}
        for form in ("plain", "json"):
            ours_to_peer = run_traffic((None, peer), {"LOG_FORMAT": form})
            peer_to_ours = run_traffic((peer, None), {"LOG_FORMAT": form})
            cls.sides[form] = {"client": (ours_to_peer[0], peer_to_ours[0]),
                               "server": (peer_to_ours[1], ours_to_peer[1])}
            if os.environ.get("AMBIT_LAB_LOGS"):
                for role, pair in cls.sides[form].items():
                    for name, node in zip(("ours", "peer"), pair):
                        path = os.path.join(os.environ["AMBIT_LAB_LOGS"], f"{form}-{role}-{name}")
                        with open(path, "w", encoding="utf-8") as file:
                            file.write(node.log + "\n\n" + node.metrics + "\n\n"
                                       + json.dumps(node.dump, indent=1))

    def check_each_side(self, check):
        """check(ours, peer) for both roles in both forms."""
        for form, sides in self.sides.items():
            for role, (ours, peer) in sides.items():
                with self.subTest(form=form, role=role):
                    check(ours, peer)

    def test_the_families_have_the_same_names_types_and_help_texts(self):
        self.check_each_side(lambda ours, peer: self.assertEqual(
            {n: f for n, f in ours.families().items() if not ONLY_OURS.match(n)},
            {n: f for n, f in peer.families().items() if not ONLY_PEER.match(n)}))

    def test_series_have_the_same_labels_in_the_same_order(self):
        def check(ours, peer):
            for family, (kind, _) in peer.families().items():
                sample = family + ("_total" if kind == "counter" else "")
                if kind == "histogram" or ONLY_PEER.match(family):
                    continue
                mine = ours.series(sample)
                if kind == "gauge":  # ours are there with 0 before anything happens
                    mine = [labels for labels in mine if labels in peer.series(sample)]
                self.assertEqual(mine, peer.series(sample), sample)
        self.check_each_side(check)

    def test_access_log_lines_have_the_same_fields_in_the_same_order(self):
        self.check_each_side(lambda ours, peer: self.assertEqual(
            *([[key for key, _ in line] for line in side.access()] for side in (ours, peer))))

    def test_access_log_lines_say_the_same(self):
        def said(node):
            return [[pair for pair in line if pair[0] not in VARYING] for line in node.access()]
        self.check_each_side(lambda ours, peer: self.assertEqual(said(ours), said(peer)))

    def test_questions_to_dns_have_the_same_lines(self):
        def check(ours, peer):
            mine, theirs = ours.lines("dns"), peer.lines("dns")
            # The peer counts endpoints before it has the addresses, and its lines say nothing more.
            skipped = VARYING | {"endpoints", "message"}
            self.assertEqual(*([[p for p in line if p[0] not in skipped] for line in lines]
                               for lines in (mine, theirs)))
            self.assertEqual(*([[key for key, _ in line if key != "message"] for line in lines]
                               for lines in (mine, theirs)))
        self.check_each_side(check)

    def test_the_dumps_show_the_same_pods(self):
        def pods(node):
            return sorted((pod["state"], *sorted(pod["info"].items()))
                          for pod in node.dump["workloadState"].values())
        self.check_each_side(lambda ours, peer: self.assertEqual(pods(ours), pods(peer)))


if __name__ == "__main__":
    isolation.enter()
    unittest.main(verbosity=2)
