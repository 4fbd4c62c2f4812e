"""How a tunnel bears a large mesh: time until it has taken all of it, memory then, CPU of an update.

  python3 -B tests/bench/discovery_bench.py [--rounds 3] [--json FILE] TUNNEL...

Each TUNNEL is a command ("out/release/bin/ztunnel-lite", "/path/ztunnel proxy ztunnel"). All run in
turn, in a network namespace of this program, against bench-discovery of AMBIT_BIN_DIR. Root.
"""
import argparse
import json
import os
import shlex
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BIN = os.environ.get("AMBIT_BIN_DIR") or os.path.join(ROOT, "out", "release", "bin")
SIZES = ((1000, 100), (20000, 2000), (100000, 10000))
UPDATES = 2000
TICKS = os.sysconf("SC_CLK_TCK")


def resident_mib(pid):
    with open(f"/proc/{pid}/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def cpu_seconds(pid):
    """User and system time of all threads, by the scheduler's clock where the kernel shows it."""
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/schedstat", encoding="ascii") as file:
            total += int(file.read().split()[0])
    return total / 1e9


def expect(server, word):
    line = server.stdout.readline().split()
    if not line or line[0] != word:
        raise RuntimeError(f"'{word}' was expected of bench-discovery, not {line}")
    return line


def make_certificate(folder):
    """(key, certificate) for 127.0.0.1, its own root."""
    key, certificate = (os.path.join(folder, name) for name in ("key.pem", "certificate.pem"))
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key, "-out", certificate,
                    "-days", "2", "-subj", "/O=bench", "-addext", "subjectAltName=IP:127.0.0.1",
                    "-addext", "basicConstraints=critical,CA:FALSE"],
                   check=True, capture_output=True)
    return key, certificate


def measure(tunnel, workloads, services, folder, certificate):
    server = subprocess.Popen([os.path.join(BIN, "bench-discovery"), str(workloads), str(services),
                               *certificate],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
    port = expect(server, "port")[1]
    environment = {**os.environ, "NODE_NAME": "node-none", "XDS_ADDRESS": f"https://127.0.0.1:{port}",
                   "CA_ADDRESS": "https://127.0.0.1:1", "XDS_ROOT_CA": certificate[1],
                   "CA_ROOT_CA": certificate[1], "RUST_LOG": "error",
                   "INPOD_UDS": os.path.join(folder, "none.sock"), "CLUSTER_ID": "Kubernetes"}
    started = time.monotonic()
    with open(os.path.join(folder, "log"), "w", encoding="utf-8") as log:
        process = subprocess.Popen(shlex.split(tunnel), env=environment, stdout=log, stderr=log)
    try:
        expect(server, "synced")
        ready = time.monotonic() - started
        taken = cpu_seconds(process.pid)
        memory = resident_mib(process.pid)
        server.stdin.write(f"update {UPDATES}\n")
        expect(server, "updated")
        update = (cpu_seconds(process.pid) - taken) / UPDATES
        return {"ready_s": ready, "cpu_s": taken, "resident_mib": memory, "update_us": update * 1e6,
                "resident_after_mib": resident_mib(process.pid)}
    finally:
        process.kill()
        process.wait()
        server.stdin.close()
        server.kill()
        server.wait()


def median(rounds):
    return {key: statistics.median(r[key] for r in rounds) for key in rounds[0]}


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--json")
    arguments.add_argument("tunnels", nargs="+")
    options = arguments.parse_args()
    results = []
    with tempfile.TemporaryDirectory(prefix="ambit-bench-") as folder:
        certificate = make_certificate(folder)
        for workloads, services in SIZES:
            rounds = {tunnel: [] for tunnel in options.tunnels}
            for _ in range(options.rounds):
                for tunnel in options.tunnels:
                    rounds[tunnel].append(measure(tunnel, workloads, services, folder,
                                                  certificate))
            for tunnel, measured in rounds.items():
                row = {"tunnel": tunnel, "workloads": workloads, "services": services,
                       **median(measured)}
                results.append(row)
                print(f"{workloads:6} workloads, {services:5} services  {os.path.basename(tunnel.split()[0]):14}"
                      f" ready {row['ready_s']:6.2f} s ({row['cpu_s']:5.2f} s CPU)  "
                      f"resident {row['resident_mib']:6.1f} MiB, after {UPDATES} updates "
                      f"{row['resident_after_mib']:6.1f}  update {row['update_us']:6.1f} us CPU",
                      flush=True)
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(results, file, indent=1)


if __name__ == "__main__":
    if os.environ.get("AMBIT_BENCH_INSIDE") != "1":
        os.environ["AMBIT_BENCH_INSIDE"] = "1"
        os.execvp("unshare", ["unshare", "-n", "sh", "-c", 'ip link set lo up && exec "$@"', "sh",
                              sys.executable, "-B", *sys.argv])
    main()
