"""A lab leaves nothing behind: after its end, after SIGTERM, after SIGKILL."""
import os
import signal
import subprocess
import sys
import unittest

import isolation
from lab import AMBIENT, Lab
from program import run, wait_until


def snapshot():
    """What a lab could leave: namespaces, mounts, links, rules, routes, files, processes."""
    with open("/proc/self/mountinfo", encoding="utf-8") as file:
        mounts = sorted(line.split(" ", 1)[1].split(" ", 1)[1] for line in file)
    commands = (["ip", "netns", "list"], ["ip", "link"], ["ip", "rule"], ["ip", "-6", "rule"],
                ["ip", "route", "list", "table", "all"], ["nft", "list", "ruleset"])
    files = sorted(os.path.join(folder, name) for top in ("/run", "/var/lib/cni")
                   for folder, folders, names in os.walk(top) for name in folders + names)
    processes = sorted(entry for entry in os.listdir("/proc") if entry.isdigit())
    return {"mounts": mounts, "files": files, "processes": processes,
            **{" ".join(c): run(c).stdout for c in commands}}


def live():
    """The inner program: a lab with traffic, until it is told to end."""
    isolation.enter()
    try:
        with Lab() as lab:
            lab.manifests.namespace("demo")
            lab.start()
            pod = lab.add_pod("client", lab.nodes[0], labels=AMBIENT)
            pod.serve("say", 8080)
            lab.capture()
            print("up", flush=True)
            if "stay" in sys.argv:
                while True:
                    signal.pause()
    except isolation.Stopped:
        sys.exit(0)


class Clean(unittest.TestCase):
    def setUp(self):
        self.before = snapshot()
        self.maxDiff = None

    def start(self, *arguments):
        inner = subprocess.Popen([sys.executable, "-B", __file__, "live", *arguments],
                                 stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        self.assertEqual(inner.stdout.readline(), b"up\n")
        inner.stdout.close()
        return inner

    def assert_nothing_left(self):
        def same():
            while True:  # this program is pid 1 here: it reaps what the lab orphaned
                try:
                    if os.waitpid(-1, os.WNOHANG) == (0, 0):
                        break
                except ChildProcessError:
                    break
            return snapshot() == self.before
        try:
            wait_until("nothing is left", same, 10)
        except Exception:
            self.assertEqual(snapshot(), self.before)

    def test_nothing_is_left_after_its_end(self):
        self.assertEqual(self.start().wait(60), 0)
        self.assert_nothing_left()

    def test_nothing_is_left_after_sigterm(self):
        inner = self.start("stay")
        inner.terminate()
        self.assertEqual(inner.wait(60), 0)
        self.assert_nothing_left()

    def test_nothing_is_left_after_sigkill(self):
        inner = self.start("stay")
        inner.kill()
        inner.wait(60)
        self.assert_nothing_left()


if __name__ == "__main__":
    if "live" in sys.argv:
        live()
    else:
        isolation.enter()
        unittest.main(verbosity=2)
