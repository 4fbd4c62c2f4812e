#!/usr/bin/env python3
"""Mixed load on two nodes for as long as asked: nothing may fail, grow or be reported.

  tests/mesh/soak.py --minutes 60 --preset asan [--cores 0.4] [--seed N]

Requests of random sizes with half-closes from either side, resets, slow readers, long connections,
policies that come and go, pods that come and go with connections open, DNS; the tunnel of node-a is
replaced every few minutes by a successor beside it. Every ten minutes all of it rests, and
descriptors and memory of each program are written down; at the end they are compared with those of
minute five. The load adjusts itself to the share of a core it may use. Needs root; not part of
tests/run.sh, since it takes the time it is given.
"""
import argparse
import os
import re
import sys
import threading
import time

import isolation
import soak_actors as actors
from lab import AMBIENT
from mesh_objects import serves
from meters import descriptors, sockets
from program import Program, wait_until
from resolver import Resolver
from source_lab import SourceLab

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
REPORT = re.compile(r"ERROR: \w+Sanitizer|WARNING: ThreadSanitizer|runtime error:|LeakSanitizer")
PORTS = {"AMBIT_ADMIN_PORT": "16000", "AMBIT_METRICS_PORT": "16020", "AMBIT_READINESS_PORT": "16021"}
DEADLINE_SECONDS = 12
UPGRADE_SECONDS, SAMPLE_SECONDS, FIRST_SAMPLE_SECONDS = 240, 600, 300
SLACK_DESCRIPTORS = 8  # pages of admin ports that a client has just left, namespaces on their way out
TICK = 1.0 / os.sysconf("SC_CLK_TCK")


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--preset", default="asan")
    parser.add_argument("--cores", type=float, default=0.4)
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


def environment():
    return {"ASAN_OPTIONS": "abort_on_error=1:detect_leaks=1:detect_stack_use_after_return=0:"
                            "quarantine_size_mb=8:thread_local_quarantine_size_kb=64",
            "TSAN_OPTIONS": "ignore_noninstrumented_modules=1:"
                            f"suppressions={ROOT}/tests/tsan.supp",
            "AMBIENT_DNS_CAPTURE": "true", "POOL_UNUSED_RELEASE_TIMEOUT": "2s",
            "AMBIT_SERIES_KEEP": "60s",
            "CONNECTION_TERMINATION_DEADLINE": f"{DEADLINE_SECONDS}s"}


class Soak:
    def __init__(self, options, lab):
        self.options, self.lab, self.deadline = options, lab, DEADLINE_SECONDS - 1
        self.factor, self.failures, self.excused, self.samples = 2.0, [], 0, []
        self.actors, self.upgrades, self.statuses = [], 0, []
        self._condition, self._busy = threading.Condition(), 0
        self._quiet, self._ending = True, False
        self._rest = threading.Event()

    def turn(self, seconds):
        """Waits for the actor's next turn; false when there is none."""
        self._rest.wait(seconds * self.factor)
        with self._condition:
            self._condition.wait_for(lambda: self._ending or not self._quiet)
            self._busy += not self._ending
            return not self._ending

    def turn_ends(self):
        with self._condition:
            self._busy -= 1
            self._condition.notify_all()

    def paused(self):
        return self._quiet or self._ending

    def rest(self, seconds):
        self._rest.wait(seconds)

    def failed(self, actor, began, error):
        lasted = time.monotonic() - began
        if lasted >= self.deadline:
            self.excused += 1  # longer than a tunnel that is replaced waits for it
            return
        text = f"{time.strftime('%H:%M:%S')} {type(actor).__name__} after {lasted:.2f} s: {error!r}"
        self.failures.append(text)
        print(text, flush=True)

    def make(self):
        self.lab.manifests.namespace("demo")
        self.lab.start()
        self.make_pods()
        self.resolver = Resolver(self.plain)
        for pod in (*self.web, self.plain):
            for app, port in (("hash", actors.HASH), ("early", actors.EARLY),
                              ("hold", actors.HOLD), ("pour", actors.POUR),
                              ("hold", actors.GUARDED)):
                pod.serve(app, port)
        for pod in (*self.web, *self.captured_callers):
            self.lab.wait_captured(pod)
        self.callers = [*self.captured_callers, self.plain]
        self.addresses = [a for p in (*self.web, self.plain) for a in p.addresses]
        self.make_actors()

    def make_pods(self):
        """On each node a server of the mesh's service and a caller; a plain pod outside."""
        lab, ports = self.lab, {p: p for p in (actors.HASH, actors.EARLY, actors.HOLD, actors.POUR)}
        lab.set_service("demo", actors.WEB_NAME, [actors.WEB, actors.WEB6], ports)
        self.web, self.captured_callers = [], []
        for node in lab.nodes:
            letter = node.name[-1]
            pod = lab.add_pod(f"web-{letter}", node, labels={"app": "web", **AMBIENT})
            lab.announce(pod, **serves({("demo", actors.WEB_NAME): ports}))
            self.web.append(pod)
            self.captured_callers.append(lab.add_pod(
                f"caller-{letter}", node, labels={"app": "caller", **AMBIENT},
                service_account="caller"))
        self.plain = lab.add_pod("plain", lab.nodes[1], labels={"app": "plain"})

    def make_actors(self):
        self.holder = actors.Holder(self, 7)
        kinds = (actors.Exchange, actors.Exchange, actors.Exchange, actors.Early, actors.Reset,
                 actors.ByService, actors.SlowReader, actors.SlowReader, actors.Asker,
                 actors.Guard, actors.Churn)
        self.actors = [self.holder] + [
            kind(self, self.options.seed * 100 + number) for number, kind in enumerate(kinds)]

    def quiet(self, quiet):
        """Lets the actors go, or waits until none of them does anything and nothing is open."""
        with self._condition:
            self._quiet = quiet
            self._condition.notify_all()
            if quiet and not self._condition.wait_for(lambda: self._busy == 0, 240):
                raise TimeoutError("an actor did not come to its end")
        if quiet:
            self.holder.drop(0)

    def wait_nothing_open(self):
        wait_until("no connection and no tunnel is left", lambda: not any(
            sockets(node, reporter) for node in self.lab.nodes
            for reporter in ("source", "destination")), 120)

    def sample(self, minute):
        self.quiet(True)
        self.wait_nothing_open()
        self.rest(3)
        row = {}
        for program in self.daemons():
            with open(f"/proc/{program.pid}/status", encoding="ascii") as file:
                kib = next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))
            row[program.name] = (descriptors(program), kib / 1024)
        self.samples.append((minute, row))
        done = ", ".join(f"{type(a).__name__} {a.done}" for a in self.actors)
        print(f"minute {minute:.0f}: " + "; ".join(
            f"{name} {fds} descriptors {mib:.1f} MiB" for name, (fds, mib) in row.items()))
        print(f"  {self.upgrades} upgrades, {len(self.failures)} failures, {self.excused} cut at a "
              f"tunnel's end; pace {self.factor:.2f}; {done}", flush=True)
        self.quiet(False)

    def daemons(self):
        return [p for n in self.lab.nodes for p in (n.tunnel, n.agent)] + [self.lab.control]

    def upgrade(self):
        """The tunnel of node-a, replaced and back: its pages then are where they were."""
        node = self.lab.nodes[0]
        old, pods = node.tunnel, [self.web[0], self.captured_callers[0]]
        successor = Program("successor", old.arguments, self.lab.log_folder, node.netns,
                            {**old.environment, **PORTS}).start()
        try:
            actors.wait_served(self.lab, node, 16000, pods)
            self.statuses.append(old.end(seconds=DEADLINE_SECONDS + 30))
            old.start()
            actors.wait_served(self.lab, node, 15000, pods)
        finally:
            self.statuses.append(successor.end(seconds=DEADLINE_SECONDS + 30))
        self.keep_reports(successor)
        self.upgrades += 2

    def keep_reports(self, *programs):
        for program in programs:
            text = program.log()
            found = REPORT.search(text)
            if found:
                self.failures.append(f"{program.name}: {text[found.start():found.start() + 6000]}")
                print(self.failures[-1], flush=True)

    def cpu_seconds(self):
        total = sum(os.times()[:4])
        for program in self.lab.all_programs():
            if program.running():
                with open(f"/proc/{program.pid}/stat", encoding="ascii") as file:
                    fields = file.read().rpartition(")")[2].split()
                total += sum(map(int, fields[11:15])) * TICK
        return total

    def keep_pace(self, began, cpu_began):
        """Stretches the pauses while more than the given share of a core is used."""
        used = (self.cpu_seconds() - cpu_began) / max(time.monotonic() - began, 0.001)
        self.factor = min(50.0, max(0.1, self.factor * (1.15 if used > self.options.cores
                                                        else 0.9)))

    def run(self):
        self.make()
        for actor in self.actors:
            actor.start()
        self.quiet(False)
        started = time.monotonic()
        end = started + self.options.minutes * 60
        next_upgrade, next_sample = started + 120, started + FIRST_SAMPLE_SECONDS
        while time.monotonic() < end and len(self.failures) < 20:
            began, cpu = time.monotonic(), self.cpu_seconds()
            self.rest(5)
            self.keep_pace(began, cpu)
            if time.monotonic() > next_sample:
                self.sample((time.monotonic() - started) / 60)
                next_sample += SAMPLE_SECONDS
            if time.monotonic() > next_upgrade:
                self.upgrade()
                next_upgrade = time.monotonic() + UPGRADE_SECONDS
        self.sample((time.monotonic() - started) / 60)
        return self.verdict()

    def verdict(self):
        with self._condition:
            self._ending = True
            self._condition.notify_all()
        first, last = self.samples[0][1], self.samples[-1][1]
        for name, (fds, mib) in last.items():
            if fds > first[name][0] + SLACK_DESCRIPTORS:
                self.failures.append(f"{name} holds {fds} descriptors, {first[name][0]} at first")
            if mib > first[name][1] * 1.15 + 8:
                self.failures.append(f"{name} takes {mib:.1f} MiB, {first[name][1]:.1f} at first")
        programs = self.daemons()
        ended = self.lab.end_programs(60)
        self.failures += [f"{name} ended with {status}" for name, status in ended.items() if status]
        self.failures += [f"a replaced tunnel ended with {s}" for s in self.statuses if s]
        self.keep_reports(*programs)
        for failure in self.failures:
            print(f"FAILED: {failure}")
        print(f"{'failed' if self.failures else 'passed'}: {self.options.minutes:g} minutes, "
              f"{sum(a.done for a in self.actors)} acts, {self.upgrades} upgrades, "
              f"{self.excused} connections cut at a tunnel's end", flush=True)
        return 1 if self.failures else 0


def main():
    options = parse()
    os.environ.setdefault("AMBIT_BIN_DIR", os.path.join(ROOT, "out", options.preset, "bin"))
    isolation.enter()
    with SourceLab(environment=environment()) as lab:
        try:
            status = Soak(options, lab).run()
        except BaseException:
            print(lab.logs(), flush=True)
            raise
    sys.stdout.flush()
    os._exit(status)  # actors that are still in a system call end with it


if __name__ == "__main__":
    main()
