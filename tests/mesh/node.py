"""One node of the lab, and the pods on it."""
import http.client
import json
import os
import secrets
import shutil
import socket
import uuid

import isolation
from manifests import pod_object
from program import LabError, Program, run, wait_until

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
APPS = os.path.join(ROOT, "tests", "mesh", "apps.py")
CONTROL_ADDRESS, CONTROL_PORT = "172.16.77.1", 15012
NETWORK = "ambit"  # name of the CNI network
NETNS = "/run/netns/"


def binary(name):
    """AMBIT_BIN_DIR names the preset's folder; the plugin may come from AMBIT_CNI_BIN_DIR."""
    folder = os.environ.get("AMBIT_BIN_DIR") or os.path.join(ROOT, "out", "release", "bin")
    if name == "ambit-cni":
        folder = os.environ.get("AMBIT_CNI_BIN_DIR") or folder
    path = os.path.join(folder, name)
    if not os.access(path, os.X_OK):
        raise LabError(f"{path} is not there: build it first")
    return path


def tunnel_under_test():
    """The tunnel's command line; AMBIT_TUNNEL_UNDER_TEST puts another one's binary in its place."""
    other = os.environ.get("AMBIT_TUNNEL_UNDER_TEST")
    return [other, "proxy", "ztunnel"] if other else [binary("ztunnel-lite")]


def find_cnitool():
    for path in (os.environ.get("CNITOOL"), shutil.which("cnitool"),
                 os.path.join(ROOT, "out", "tools", "bin", "cnitool")):
        if path and os.access(path, os.X_OK):
            return path
    raise LabError("cnitool is not there: install/deps.sh run")


def http_get(netns, port, path, seconds=5.0):
    """(status, body) of a plain HTTP GET to 127.0.0.1:port inside the network namespace."""
    def connect():
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=seconds)
        connection.connect()
        return connection
    connection = isolation.in_netns(netns, connect)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode(errors="replace")
    finally:
        connection.close()


class Node:
    """A network namespace with the programs of one node. number: 1 or 2."""

    def __init__(self, lab, number, tunnel_command=None):
        self.lab, self.number = lab, number
        self.name = f"node-{'ab'[number - 1]}"
        self.netns = NETNS + self.name
        self.address, self.address6 = f"172.16.77.{10 + number}", f"fd77:77::{10 + number}"
        self.pod_range, self.pod_range6 = f"10.77.{number}.0/24", f"fd77:{number}::/64"
        self.wire_port = f"wire-{'ab'[number - 1]}"
        self.folder = os.path.join(lab.folder, self.name)
        self.agent_socket = os.path.join(self.folder, "agent.sock")
        self.zds_socket = os.path.join(self.folder, "ztunnel.sock")
        self.token = secrets.token_hex(16)
        self.tunnel_command = tunnel_command or tunnel_under_test()
        self.agent = self.tunnel = None

    def make_network(self):
        os.makedirs(os.path.join(self.folder, "net.d"))
        run(["ip", "netns", "add", self.name])
        run(["ip", "link", "add", self.wire_port, "type", "veth", "peer", "name", "eth0",
             "netns", self.name])
        run(["ip", "link", "set", self.wire_port, "master", "wire", "up"])
        commands = [["ip", "link", "set", "lo", "up"],
                    ["ip", "address", "add", f"{self.address}/24", "dev", "eth0"],
                    ["ip", "address", "add", f"{self.address6}/64", "dev", "eth0", "nodad"],
                    ["ip", "link", "set", "eth0", "up"]]
        for command in commands:
            run(command, netns=self.netns)
        self.sysctl("net/ipv4/ip_forward", "1")
        self.sysctl("net/ipv6/conf/all/forwarding", "1")
        self.sysctl("net/ipv6/conf/default/accept_dad", "0")

    def sysctl(self, name, value):
        def write():
            with open(f"/proc/sys/{name}", "w", encoding="ascii") as file:
                file.write(value)
        isolation.in_netns(self.netns, write)

    def route_to(self, other):
        run(["ip", "route", "add", other.pod_range, "via", other.address], netns=self.netns)
        run(["ip", "-6", "route", "add", other.pod_range6, "via", other.address6],
            netns=self.netns)

    def write_conflist(self, main_plugin):
        interface = {"ptp": {"type": "ptp"},
                     "bridge": {"type": "bridge", "bridge": "pods", "isGateway": True}}[main_plugin]
        ranges = [[{"subnet": self.pod_range}]]
        routes = [{"dst": "0.0.0.0/0"}]
        if self.lab.ipv6:
            ranges.append([{"subnet": self.pod_range6}])
            routes.append({"dst": "::/0"})
        interface["ipam"] = {"type": "host-local", "ranges": ranges, "routes": routes,
                             "dataDir": os.path.join(self.folder, "addresses")}
        conflist = {"cniVersion": "1.0.0", "name": NETWORK, "plugins": [
            interface, {"type": "ambit-cni", "agent_socket": self.agent_socket}]}
        self.conflist = os.path.join(self.folder, "net.d", "10-ambit.conflist")
        with open(self.conflist, "w", encoding="utf-8") as file:
            json.dump(conflist, file, indent=2)
            file.write("\n")

    def make_programs(self):
        token_path = os.path.join(self.folder, "token")
        with open(token_path, "w", encoding="ascii") as file:
            file.write(self.token)
        server = f"https://{CONTROL_ADDRESS}:{CONTROL_PORT}"
        self.agent = Program(
            f"agent-{self.name}", [binary("ambit-agent"), "run"], self.lab.log_folder,
            self.netns, {"NODE_NAME": self.name, "AMBIT_MANIFESTS": self.lab.manifests.path,
                         "AMBIT_AGENT_SOCKET": self.agent_socket,
                         "ZTUNNEL_UDS_ADDRESS": self.zds_socket,
                         **self.lab.environment})
        self.tunnel = Program(
            f"ztunnel-{self.name}", self.tunnel_command, self.lab.log_folder,
            self.netns, {"NODE_NAME": self.name, "INPOD_UDS": self.zds_socket,
                         "XDS_ADDRESS": server, "CA_ADDRESS": server,
                         "XDS_ROOT_CA": self.lab.root_certificate,
                         "CA_ROOT_CA": self.lab.root_certificate, "AUTH_TOKEN": token_path,
                         **self.lab.environment})

    def get(self, port, path, seconds=5.0):
        """(status, body) of a plain HTTP GET to 127.0.0.1:port inside the node."""
        return http_get(self.netns, port, path, seconds)

    def tunnel_ready(self):
        try:
            return self.get(15021, "/healthz/ready")[0] == 200
        except OSError:
            return False

    def wait_ready(self, seconds=30.0):
        def ready():
            for program in (self.agent, self.tunnel):
                if not program.running():
                    raise LabError(f"{program.name} ended with {program.process.returncode}:\n"
                                   f"{program.log()[-2000:]}")
            return self.tunnel_ready()
        wait_until(f"the tunnel of {self.name} is ready", ready, seconds)

    def cni_environment(self, pod):
        arguments = f"IgnoreUnknown=1;K8S_POD_NAMESPACE={pod.namespace};K8S_POD_NAME={pod.name}"
        return {"CNI_PATH": os.pathsep.join((self.lab.plugin_folder,
                                             os.path.dirname(binary("ambit-cni")))),
                "NETCONFPATH": os.path.dirname(self.conflist),
                "CNI_ARGS": f"{arguments};K8S_POD_UID={pod.uid}"}

    def cnitool(self, command, pod, check=True):
        return run([find_cnitool(), command, NETWORK, pod.netns], netns=self.netns,
                   environment=self.cni_environment(pod), check=check)


class Pod:
    def __init__(self, node, name, namespace, labels, service_account, annotations):
        self.node, self.name, self.namespace = node, name, namespace
        self.labels, self.annotations = dict(labels or {}), dict(annotations or {})
        self.service_account = service_account
        self.uid = str(uuid.uuid4())
        self.netns = NETNS + name
        self.addresses = []

    @property
    def ip(self):
        return self.addresses[0]

    @property
    def ip6(self):
        return self.addresses[1]

    @property
    def spiffe(self):
        return f"spiffe://cluster.local/ns/{self.namespace}/sa/{self.service_account}"

    def write_manifest(self):
        return self.node.lab.manifests.write(f"pod-{self.namespace}-{self.name}", pod_object(self))

    def label(self, labels):
        """Replaces the labels of the running pod, as `kubectl label` would."""
        self.labels = dict(labels)
        return self.write_manifest()

    def run(self, *arguments, check=True, seconds=60.0):
        return run(arguments, netns=self.netns, check=check, seconds=seconds)

    def serve(self, app, port):
        """Starts an app of apps.py and waits until it listens."""
        program = Program(f"app-{self.name}-{app}-{port}", ["python3", "-B", APPS, app, str(port)],
                          self.node.lab.log_folder, self.netns).start()
        self.node.lab.programs.append(program)
        program.wait_log("listening on")
        return program

    def app(self, *arguments, check=True, seconds=60.0):
        """Runs a client of apps.py to its end; its output."""
        return self.run("python3", "-B", APPS, *map(str, arguments), check=check, seconds=seconds)

    def socket(self, family=socket.AF_INET, kind=socket.SOCK_STREAM):
        return isolation.in_netns(self.netns, lambda: socket.socket(family, kind))

    def connect(self, address, port, seconds=20.0):
        """A connected socket of this pod, usable from any thread."""
        handle = self.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
        handle.settimeout(seconds)
        try:
            handle.connect((address, port))
        except OSError:
            handle.close()
            raise
        return handle
