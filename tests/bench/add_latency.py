#!/usr/bin/env python3
"""Latency of an ADD of a captured pod, start-up times and sizes, of the release binaries.

  tests/bench/add_latency.py [count] [--tunnel real|fake]
                                           needs root; makes namespaces of its own

The plugin is executed as libcni does it: environment, configuration with prevResult on stdin,
from inside the node's network namespace. The clock runs from just before posix_spawn (which is
vfork and exec) to the return of waitpid, so that it holds no work of Python's; standard input is
a pipe that is full before, standard output one that is read after.
A fake tunnel acknowledges at once and binds nothing: what then remains is the agent's and ours.
"""
import argparse
import json
import os
import re
import socket
import statistics
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
    """(seconds from posix_spawn to exit, stdout); LabError when it fails.
    Both texts fit a pipe's 64 KiB."""
    in_end, in_begin = os.pipe()
    out_end, out_begin = os.pipe()
    os.write(in_begin, stdin)
    os.close(in_begin)
    actions = [(os.POSIX_SPAWN_DUP2, in_end, 0), (os.POSIX_SPAWN_DUP2, out_begin, 1)]
    started = time.perf_counter()
    pid = os.posix_spawn(path, [path], environment, file_actions=actions)
    _, status = os.waitpid(pid, 0)
    seconds = time.perf_counter() - started
    os.close(in_end)
    os.close(out_begin)
    with os.fdopen(out_end, "rb") as file:
        output = file.read()
    if status:
        code = os.waitstatus_to_exitcode(status)
        raise LabError(f"{path} ended with {code}: {output.decode()}")
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


def fake_tunnel(path):
    """Says hello and acknowledges whatever comes, until it is killed."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as handle:
        handle.connect(path)
        handle.send(b"\x08\x01")  # ZdsHello{version: V1}
        while True:
            bytes_, descriptors, _, _ = socket.recv_fds(handle, 4096, 1)
            for descriptor in descriptors:
                os.close(descriptor)
            if not bytes_:
                return
            handle.send(b"\x0a\x00")  # WorkloadResponse{ack: {}}


def start_fake_tunnel(node):
    """In a process of its own, so that it does not share the interpreter with the clock. It ends
    with the agent, whose end of the connection it reads."""
    if os.fork() == 0:
        try:
            fake_tunnel(node.zds_socket)
        finally:
            os._exit(0)
    node.agent.wait_log("a tunnel has its snapshot")


def measure_starts(lab, tunnel):
    """{program: seconds from exec to ready}; leaves them running."""
    node = lab.nodes[0]
    times = {}
    lab.control.start()
    times["ambit-control"] = until(
        lambda: accepts(socket.AF_INET, (CONTROL_ADDRESS, CONTROL_PORT)))
    node.agent.start()
    times["ambit-agent"] = until(lambda: accepts(socket.AF_UNIX, node.agent_socket))
    if tunnel == "fake":
        start_fake_tunnel(node)
        return times
    node.tunnel.start()
    times["ztunnel-lite"] = until(node.tunnel_ready)
    return times


def percentile(values, part):
    return sorted(values)[min(len(values) - 1, int(len(values) * part))]


def agent_times(node):
    """Seconds from the answer to /cmdadd until the pod was enrolled, as the agent logs them."""
    return [int(text) / 1e6 for text in re.findall(r"took_us=(\d+)", node.agent.log())]


def show(adds, enrolments, versions, starts):
    def ms(seconds):
        return f"{seconds * 1000:8.2f} ms"

    def row(name, values):
        print(f"{name:38} p50 {ms(statistics.median(values))}   "
              f"p95 {ms(percentile(values, 0.95))}   max {ms(max(values))}")
    print()
    row(f"ADD of a captured pod, {len(adds)} of them", adds)
    row("  of it from the agent's offer on", enrolments)
    row(f"plugin start (VERSION), {len(versions)} runs", versions)
    print()
    print(f"{'program':14} {'size':>10} {'stripped':>10}   exec to ready")
    for name in PROGRAMS:
        path = binary(name)
        stripped = run(["sh", "-c", f"objcopy -S {path} /run/stripped && stat -c %s /run/stripped"])
        start = ms(starts[name]) if name in starts else "-"
        print(f"{name:14} {os.path.getsize(path) / 1e6:7.2f} MB "
              f"{int(stripped.stdout) / 1e6:7.2f} MB   {start}")


def main():
    parser = argparse.ArgumentParser(description="latency of an ADD")
    parser.add_argument("count", nargs="?", type=int, default=50)
    parser.add_argument("--tunnel", choices=("real", "fake"), default="real")
    arguments = parser.parse_args()
    isolation.enter()
    try:
        with Lab() as lab:
            lab.manifests.namespace("demo")
            starts = measure_starts(lab, arguments.tunnel)
            adds = measure_adds(lab, arguments.count)
            show(adds, agent_times(lab.nodes[0]), measure_version(arguments.count), starts)
    except isolation.Stopped as stopped:
        sys.exit(f"stopped by {stopped}")


if __name__ == "__main__":
    main()
