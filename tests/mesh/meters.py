"""What can be measured of a tunnel from outside: its metrics, its descriptors, its memory."""
import os
import re

METRICS_PORT = 15020
SAMPLE = re.compile(r"^(?P<name>[\w:]+)(?:\{(?P<labels>.*)\})? (?P<value>\S+)$", re.MULTILINE)
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


def metric(node, name, **labels):
    """The sum of the node's samples of this name that have all the labels."""
    total = 0.0
    for sample in SAMPLE.finditer(node.get(METRICS_PORT, "/metrics")[1]):
        if sample["name"] == name and labels.items() <= dict(
                LABEL.findall(sample["labels"] or "")).items():
            total += float(sample["value"])
    return int(total)


def opened(node, reporter, **labels):
    return metric(node, "istio_tcp_connections_opened_total", reporter=reporter, **labels)


def still_open(node, reporter, **labels):
    return opened(node, reporter, **labels) - metric(
        node, "istio_tcp_connections_closed_total", reporter=reporter, **labels)


def sockets(node, reporter):
    """Accepted sockets: apps' connections (source), peers' tunnels and plaintext (destination)."""
    return metric(node, "istio_tcp_sockets_open", reporter=reporter)


def descriptors(program):
    return len(os.listdir(f"/proc/{program.pid}/fd"))


def resident_mib(program):
    with open(f"/proc/{program.pid}/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") >> 20
