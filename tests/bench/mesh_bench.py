#!/usr/bin/env python3
"""Two nodes, a client pod on one and a server pod on the other: what the mesh costs.

  tests/bench/run.sh [--rounds N] [--seconds N] [--json FILE]

Compares no mesh, ztunnel-lite, and the tunnel that PEER_TUNNEL names (started with
`proxy ztunnel`), each on both nodes, in turn within every round; shows the median of the rounds
and the spread around it. CPU is the time that both tunnels used together. Figures compare within
one run only: the machine's speed is part of them.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "mesh"))
# pylint: disable=wrong-import-position
import isolation
from lab import AMBIENT, Lab
from node import binary
from program import Program, run

PORT = 7700
HELD = 1000  # idle connections
PODS = 50    # captured pods added on one node
TICK = 1.0 / os.sysconf("SC_CLK_TCK")

# What load.cc is asked, and what of its answer and of the CPU time makes a figure.
LOADS = (
    ("1 stream", "throughput push 1", ("Gbit/s", "cpu s/GB")),
    ("8 streams", "throughput push 8", ("Gbit/s", "cpu s/GB")),
    ("1 stream, server to client", "throughput pull 1", ("Gbit/s", "cpu s/GB")),
    ("100 B ping-pong, 1 connection", "exchange 1 100", ("p50 us", "p99 us", "cpu us")),
    ("100 B ping-pong, 32 connections", "exchange 32 100", ("k/s", "cpu us")),
    ("2,000 exchanges/s over 16 connections", "exchange 16 100 rate 2000", ("p50 us", "p99 us")),
    ("connect, exchange, close; one at a time", "connect 1", ("p50 us", "cpu us")),
    ("connect, exchange, close; 32 at once", "connect 32", ("k/s", "cpu us")),
)


def command_of(load, address, seconds):
    match load.split():
        case ["throughput", way, streams]:
            words = ["throughput", address, PORT, way, streams, seconds]
        case ["exchange", connections, size]:
            words = ["exchange", address, PORT, connections, size, seconds]
        case ["exchange", connections, size, "rate", rate]:
            words = ["exchange", address, PORT, connections, size, seconds, rate]
        case ["connect", parallel]:
            words = ["connect", address, PORT, parallel, seconds]
    return [binary("bench-load"), *map(str, words)]


def cpu_seconds(tunnels):
    total = 0.0
    for tunnel in tunnels:
        with open(f"/proc/{tunnel.pid}/stat", encoding="ascii") as file:
            fields = file.read().rpartition(")")[2].split()
        total += (int(fields[11]) + int(fields[12])) * TICK
    return total


def resident_kib(tunnels):
    total = 0
    for tunnel in tunnels:
        with open(f"/proc/{tunnel.pid}/status", encoding="ascii") as file:
            total += next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))
    return total


def figures_of(units, answer, cpu):
    count = max(answer["exchanges"], 1)
    values = {"Gbit/s": answer["bytes"] * 8 / answer["seconds"] / 1e9,
              "cpu s/GB": cpu / max(answer["bytes"] / 1e9, 1e-9),
              "p50 us": answer["p50_us"], "p99 us": answer["p99_us"],
              "k/s": answer["exchanges"] / answer["seconds"] / 1e3, "cpu us": cpu / count * 1e6}
    return {unit: values[unit] for unit in units}


def use_all_ports():
    """Tens of thousands of short connections a second must not look for a free port."""
    for name, value in (("ip_local_port_range", "1024 65535"), ("tcp_tw_reuse", "1")):
        with open(f"/proc/sys/net/ipv4/{name}", "w", encoding="ascii") as file:
            file.write(value)


class Variant:
    """One of the compared meshes; figures: (row, unit) to the value of each round."""

    def __init__(self, name, tunnel_command=None, labels=None):
        self.name, self.tunnel_command, self.labels = name, tunnel_command, labels or {}
        self.figures = {}

    def note(self, row, unit, value):
        self.figures.setdefault((row, unit), []).append(value)

    def measure(self, seconds):
        with Lab(tunnels=(self.tunnel_command,) * 2) as lab:
            lab.manifests.namespace("demo")
            lab.start()
            client = lab.add_pod("client", lab.nodes[0], labels=self.labels)
            server = lab.add_pod("server", lab.nodes[1], labels=self.labels)
            isolation.in_netns(client.netns, use_all_ports)
            for pod in (client, server) if self.labels else ():
                lab.wait_captured(pod)
                lab.wait_protocol(pod, "HBONE")
            tunnels = [node.tunnel for node in lab.nodes]
            serving = Program("bench-server", [binary("bench-load"), "serve", str(PORT)],
                              lab.log_folder, server.netns).start()
            lab.programs.append(serving)
            serving.wait_log("listening on")
            if self.labels:
                self.note("resident memory, idle, each", "MiB", resident_kib(tunnels) / 2048)
                self.measure_pods(lab)
            for row, load, units in LOADS:
                self.measure_load(client, command_of(load, server.ip, seconds), tunnels, row, units)
            if self.labels:
                self.measure_held(client, server, tunnels)

    def measure_load(self, client, command, tunnels, row, units):
        before = cpu_seconds(tunnels)
        answer = json.loads(run(command, netns=client.netns).stdout)
        cpu = cpu_seconds(tunnels) - before
        for unit, value in figures_of(units, answer, cpu).items():
            if self.labels or not unit.startswith("cpu"):
                self.note(row, unit, value)
        if answer["failures"]:
            raise RuntimeError(f"{self.name}: {row}: {answer['failures']} connections failed")

    def measure_held(self, client, server, tunnels):
        before = resident_kib(tunnels)
        command = [binary("bench-load"), "hold", server.ip, str(PORT), str(HELD)]
        with subprocess.Popen(["nsenter", f"--net={client.netns}", "--", *command],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
            if not holder.stdout.readline().startswith(b"holding"):
                raise RuntimeError(f"{self.name}: {HELD} connections could not be held")
            self.note("an idle connection, both ends", "KiB",
                      (resident_kib(tunnels) - before) / HELD)
            holder.stdin.close()

    def measure_pods(self, lab):
        node = lab.nodes[0]
        tunnel = [node.tunnel]
        before, open_before = resident_kib(tunnel), len(os.listdir(f"/proc/{node.tunnel.pid}/fd"))
        for number in range(PODS):
            lab.add_pod(f"pod-{number}", node, labels=self.labels)
        self.note("a captured pod", "KiB", (resident_kib(tunnel) - before) / PODS)
        self.note("a captured pod", "descriptors",
                  (len(os.listdir(f"/proc/{node.tunnel.pid}/fd")) - open_before) / PODS)


def table(variants):
    keys = list(dict.fromkeys(key for v in variants for key in v.figures))
    lines = [["", "", *(v.name for v in variants)]]
    for row, unit in keys:
        cells = []
        for variant in variants:
            values = variant.figures.get((row, unit))
            if not values:
                cells.append("-")
                continue
            spread = (max(values) - min(values)) / 2
            cells.append(f"{statistics.median(values):.4g} ±{spread:.2g}")
        lines.append([row, unit, *cells])
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip()
                     for line in lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=3, help="of each load [3]")
    parser.add_argument("--json", help="also write every round's figures to this file")
    options = parser.parse_args()
    peer = os.environ.get("PEER_TUNNEL")
    variants = [Variant("no mesh"), Variant("ztunnel-lite", labels=AMBIENT)]
    if peer:
        variants.append(Variant(os.path.basename(peer), [peer, "proxy", "ztunnel"], AMBIENT))
    isolation.enter()
    for number in range(options.rounds):
        for variant in variants:
            print(f"round {number + 1} of {options.rounds}: {variant.name}", file=sys.stderr)
            variant.measure(options.seconds)
    print(table(variants))
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump({v.name: [{"row": row, "unit": unit, "rounds": values}
                                for (row, unit), values in v.figures.items()]
                       for v in variants}, file, indent=1)


if __name__ == "__main__":
    main()
