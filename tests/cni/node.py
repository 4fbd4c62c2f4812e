"""A node in a network namespace, with pods, where plugins run and cnitool drives them."""
import json
import os
import secrets
import shutil
import subprocess
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
DEADLINE_SECONDS = 60

VERSIONS = ("0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0")

# cnitool keeps results in a fixed folder: each node has its own there.
CNITOOL_SCRIPT = """
set -e
mount -t tmpfs tmpfs /var/lib
mkdir /var/lib/cni
mount --bind "$1" /var/lib/cni
shift
exec "$@"
"""


def find_plugin():
    return os.path.abspath(os.environ.get("AMBIT_CNI") or f"{ROOT}/out/dev/bin/ambit-cni")


def find_cnitool():
    for path in (os.environ.get("CNITOOL"), shutil.which("cnitool"), f"{ROOT}/out/tools/bin/cnitool"):
        if path and os.access(path, os.X_OK):
            return path
    raise RuntimeError("cnitool is not here: run install/deps.sh run, or set CNITOOL")


def ip(*arguments):
    return subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True,
                          timeout=DEADLINE_SECONDS).stdout


class Namespace:
    def __init__(self, kind):
        self.name = f"ambit-{kind}-{secrets.token_hex(4)}"
        ip("netns", "add", self.name)
        ip("-n", self.name, "link", "set", "lo", "up")
        self.path = f"/run/netns/{self.name}"

    def rules(self):
        return ip("-n", self.name, "rule", "show").splitlines()

    def remove(self):
        ip("netns", "del", self.name)


class NodeTest(unittest.TestCase):
    """Makes a node namespace and a folder; both are gone after the test."""

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="ambit-cni-")
        self.addCleanup(shutil.rmtree, self.folder)
        for name in ("results", "net.d", "bin"):
            os.mkdir(f"{self.folder}/{name}")
        for name in ("modern-ptp", "modern-tuning"):
            os.symlink(f"{HERE}/modern_plugin.py", f"{self.folder}/bin/{name}")
        self.socket = f"{self.folder}/agent.sock"
        self.node = self.make_namespace("node")

    def make_namespace(self, kind):
        namespace = Namespace(kind)
        self.addCleanup(namespace.remove)
        return namespace

    def cni_path(self):
        plugins = os.environ.get("CNI_PLUGIN_DIR", "/usr/lib/cni")
        return ":".join((f"{self.folder}/bin", os.path.dirname(find_plugin()), plugins))

    def write_chain(self, version, plugins):
        with open(f"{self.folder}/net.d/10-mesh.conflist", "w", encoding="utf-8") as out:
            json.dump({"cniVersion": version, "name": "mesh", "plugins": plugins}, out)

    def cnitool(self, command, pod, args=None):
        environment = dict(os.environ, CNI_PATH=self.cni_path(), NETCONFPATH=f"{self.folder}/net.d")
        environment.pop("CNI_ARGS", None)
        if args:
            environment["CNI_ARGS"] = args
        return subprocess.run(
            ["ip", "netns", "exec", self.node.name, "sh", "-c", CNITOOL_SCRIPT, "sh",
             f"{self.folder}/results", find_cnitool(), command, "mesh", pod.path],
            env=environment, capture_output=True, text=True, timeout=DEADLINE_SECONDS)

    def run_plugin(self, environment, stdin, prefix=()):
        """The plugin alone, as a runtime calls it; stdin is text, bytes or a value to be JSON."""
        if isinstance(stdin, (dict, list)):
            stdin = json.dumps(stdin)
        if isinstance(stdin, str):
            stdin = stdin.encode()
        kept = {key: os.environ[key] for key in ("PATH", "ASAN_OPTIONS") if key in os.environ}
        return subprocess.run(["ip", "netns", "exec", self.node.name, *prefix, find_plugin()],
                              input=stdin, env=dict(kept, **environment), capture_output=True,
                              timeout=DEADLINE_SECONDS)

    def assert_failure(self, done, code, sentence):
        """Exactly one error of the specification's shape on stdout and one line on stderr."""
        self.assertEqual(done.returncode, 1, done)
        error = json.loads(done.stdout)
        self.assertLessEqual(set(error), {"cniVersion", "code", "msg", "details"})
        self.assertIn(error["cniVersion"], VERSIONS)
        self.assertEqual(error["code"], code, error)
        self.assertIn(sentence, error["msg"] + " | " + error.get("details", ""))
        self.assertEqual(done.stderr.count(b"\n"), 1, done.stderr)
