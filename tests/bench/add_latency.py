#!/usr/bin/env python3
"""Latency of an ADD of a captured pod, start-up times and sizes, of the release binaries.

  tests/bench/add_latency.py [count]       needs root; makes namespaces of its own

The plugin is executed as libcni does it: environment, configuration with prevResult on stdin,
from inside the node's network namespace. The clock runs from fork to the plugin's exit.
"""
import json
import os
import socket
import statistics
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "mesh"))

import isolation  # noqa: E402
from lab import AMBIENT, Lab  # noqa: E402
from node import CONTROL_ADDRESS, CONTROL_PORT, binary  # noqa: E402
from program import LabError, run  # noqa: E402

PROGRAMS = ("ambit-cni", "ambit-agent", "ztunnel-lite", "ambit-control")


def execute(path, environment, stdin):
    """(seconds from fork to exit, stdout); LabError when it fails."""
    started = time.perf_counter()
    process = subprocess.Popen([path], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               env=environment)
    output, _ = process.communicate(stdin)
    seconds = time.perf_counter() - started
    if process.returncode:
        raise LabError(f"{path} ended with {process.returncode}: {output.decode()}")
    return seconds, output


def call_plugin(node, pod, command, plugin, previous=None):
    """Runs one plugin of the node's conflist for the pod."""
    with open(node.conflist, encoding="utf-8") as file:
        conflist = json.load(file)
    entry = next(p for p in conflist["plugins"] if p["type"] == plugin)
    configuration = {"cniVersion": conflist["cniVersion"], "name": conflist["name"], **entry}
    if previous:
        configuration["prevResult"] = previous
    environment = {**node.cni_environment(pod), "CNI_COMMAND": command, "CNI_IFNAME": "eth0",
                   "CNI_CONTAINERID": pod.uid, "CNI_NETNS": pod.netns, "PATH": os.environ["PATH"]}
    path = binary(plugin) if plugin == "ambit-cni" else os.path.join(
        node.lab.plugin_folder, plugin)
    stdin = json.dumps(configuration).encode()
    return isolation.in_netns(node.netns, lambda: execute(path, environment, stdin))


def measure_adds(lab, count):
    """Seconds of each ADD, of pods added one after the other and kept."""
    node, times = lab.nodes[0], []
    for number in range(count):
        pod = lab.make_pod(f"pod-{number}", node, labels=AMBIENT)
        _, result = call_plugin(node, pod, "ADD", "ptp")
        previous = json.loads(result)
        seconds, _ = call_plugin(node, pod, "ADD", "ambit-cni", previous)
        times.append(seconds)
        if "inet ambit" not in pod.run("nft", "list", "tables").stdout:
            raise LabError(f"{pod.name} was not captured")
    return times


def measure_version(count):
    """Seconds of exec to exit of the plugin with the VERSION command."""
    environment = {"CNI_COMMAND": "VERSION"}
    return [execute(binary("ambit-cni"), environment, b'{"cniVersion":"1.0.0"}')[0]
            for _ in range(count)]


def until(condition):
    """Seconds until condition() holds, asked about once a millisecond."""
    pause, started = threading.Event(), time.perf_counter()
    while not condition():
        if time.perf_counter() - started > 30:
            raise LabError("not ready after 30 s")
        pause.wait(0.001)
    return time.perf_counter() - started


def accepts(family, address):
    with socket.socket(family, socket.SOCK_STREAM) as handle:
        handle.settimeout(1)
        return handle.connect_ex(address) == 0


def measure_starts(lab):
    """{program: seconds from exec to ready}; leaves them running."""
    node = lab.nodes[0]
    times = {}
    lab.control.start()
    times["ambit-control"] = until(
        lambda: accepts(socket.AF_INET, (CONTROL_ADDRESS, CONTROL_PORT)))
    node.agent.start()
    times["ambit-agent"] = until(lambda: accepts(socket.AF_UNIX, node.agent_socket))
    node.tunnel.start()
    times["ztunnel-lite"] = until(node.tunnel_ready)
    return times


def percentile(values, part):
    return sorted(values)[min(len(values) - 1, int(len(values) * part))]


def show(adds, versions, starts):
    def ms(seconds):
        return f"{seconds * 1000:8.2f} ms"
    print(f"\nADD of a captured pod, {len(adds)} of them   p50 {ms(statistics.median(adds))}"
          f"   p95 {ms(percentile(adds, 0.95))}   max {ms(max(adds))}")
    print(f"plugin start (VERSION), {len(versions)} runs     p50 {ms(statistics.median(versions))}"
          f"   p95 {ms(percentile(versions, 0.95))}\n")
    print(f"{'program':14} {'size':>10} {'stripped':>10}   exec to ready")
    for name in PROGRAMS:
        path = binary(name)
        stripped = run(["sh", "-c", f"objcopy -S {path} /run/stripped && stat -c %s /run/stripped"])
        start = ms(starts[name]) if name in starts else "-"
        print(f"{name:14} {os.path.getsize(path) / 1e6:7.2f} MB "
              f"{int(stripped.stdout) / 1e6:7.2f} MB   {start}")


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 50
    isolation.enter()
    try:
        with Lab() as lab:
            lab.manifests.namespace("demo")
            starts = measure_starts(lab)
            show(measure_adds(lab, count), measure_version(count), starts)
    except isolation.Stopped as stopped:
        sys.exit(f"stopped by {stopped}")


if __name__ == "__main__":
    main()
