"""Two nodes, one wire between them, one control plane, real pods: Ambit on one bare machine.

  with Lab() as lab:
      client = lab.add_pod("client", lab.nodes[0], labels=AMBIENT)
      server = lab.add_pod("server", lab.nodes[1], labels=AMBIENT)

Call isolation.enter() first: everything lives in its namespaces and under one folder of its /run.
A node is a network namespace with its own agent and tunnel; a pod is one made by a CNI chain
(ptp or bridge with host-local, then ambit-cni) run by the real cnitool inside the node.
"""
import errno
import http.client
import json
import os
import secrets
import shutil
import socket
import tempfile
import uuid

import isolation
from manifests import ManifestFolder, pod_object
from program import LabError, Program, run, wait_until
from wire import Capture

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
APPS = os.path.join(ROOT, "tests", "mesh", "apps.py")
AMBIENT = {"istio.io/dataplane-mode": "ambient"}
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


def find_cnitool():
    for path in (os.environ.get("CNITOOL"), shutil.which("cnitool"),
                 os.path.join(ROOT, "out", "tools", "bin", "cnitool")):
        if path and os.access(path, os.X_OK):
            return path
    raise LabError("cnitool is not there: install/deps.sh run")


class Node:
    """A network namespace with the programs of one node. number: 1 or 2."""

    def __init__(self, lab, number):
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
                         "HOST_PROBE_SNAT_IP": "169.254.7.127", **self.lab.environment})
        self.tunnel = Program(
            f"ztunnel-{self.name}", [binary("ztunnel-lite")], self.lab.log_folder,
            self.netns, {"NODE_NAME": self.name, "INPOD_UDS": self.zds_socket,
                         "XDS_ADDRESS": server, "CA_ADDRESS": server,
                         "XDS_ROOT_CA": self.lab.root_certificate,
                         "CA_ROOT_CA": self.lab.root_certificate, "AUTH_TOKEN": token_path,
                         **self.lab.environment})

    def get(self, port, path, seconds=5.0):
        """(status, body) of a plain HTTP GET to 127.0.0.1:port inside the node."""
        def connect():
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=seconds)
            connection.connect()
            return connection
        connection = isolation.in_netns(self.netns, connect)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode(errors="replace")
        finally:
            connection.close()

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


class Lab:
    def __init__(self, main_plugin="ptp", ipv6=True, environment=None):
        self.main_plugin, self.ipv6 = main_plugin, ipv6
        self.environment = dict(environment or {})
        self.plugin_folder = os.environ.get("CNI_PLUGIN_DIR") or "/usr/lib/cni"
        self.folder = self.control = None
        self.nodes, self.pods, self.programs, self.captures = [], [], [], []

    def __enter__(self):
        try:
            self._make()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_):
        self.close()

    def _make(self):
        self.folder = tempfile.mkdtemp(prefix="ambit-lab-", dir="/run")
        os.chmod(self.folder, 0o755)
        self.log_folder = os.path.join(self.folder, "logs")
        os.mkdir(self.log_folder)
        self.manifests = ManifestFolder(os.path.join(self.folder, "manifests"))
        self.control_data = os.path.join(self.folder, "control")
        self.root_certificate = os.path.join(self.control_data, "root-cert.pem")
        self.nodes = [Node(self, 1), Node(self, 2)]
        self._make_wire()
        for node in self.nodes:
            node.make_network()
            node.write_conflist(self.main_plugin)
            node.make_programs()
        self.nodes[0].route_to(self.nodes[1])
        self.nodes[1].route_to(self.nodes[0])
        self._make_control()

    def _make_wire(self):
        run(["ip", "link", "add", "wire", "type", "bridge", "forward_delay", "0"])
        run(["ip", "address", "add", f"{CONTROL_ADDRESS}/24", "dev", "wire"])
        run(["ip", "address", "add", "fd77:77::1/64", "dev", "wire", "nodad"])
        run(["ip", "link", "set", "wire", "up"])

    def _make_control(self):
        tokens = os.path.join(self.folder, "tokens")
        with open(tokens, "w", encoding="ascii") as file:
            file.writelines(f"{n.token},{n.name}\n" for n in self.nodes)
        os.chmod(tokens, 0o600)
        self.control = Program(
            "control", [binary("ambit-control")], self.log_folder, None,
            {"AMBIT_MANIFESTS": self.manifests.path, "AMBIT_CONTROL_DATA": self.control_data,
             "AMBIT_CONTROL_ADDRESS": f"0.0.0.0:{CONTROL_PORT}", "AMBIT_CONTROL_TOKENS": tokens,
             "AMBIT_CONTROL_HOSTNAMES": CONTROL_ADDRESS, **self.environment})

    def root_key(self):
        """The private key of the mesh's authority, as the control plane keeps it."""
        keys = [os.path.join(self.control_data, n) for n in os.listdir(self.control_data)
                if "key" in n]
        if len(keys) != 1:
            raise LabError(f"one key was expected in {self.control_data}: {keys}")
        return keys[0]

    def start_control(self):
        self.control.start()
        wait_until("the control plane listens", self._control_listens)

    def _control_listens(self):
        if not self.control.running():
            raise LabError(f"ambit-control ended:\n{self.control.log()[-2000:]}")
        try:
            socket.create_connection((CONTROL_ADDRESS, CONTROL_PORT), 5).close()
        except OSError as error:
            if error.errno != errno.ECONNREFUSED:
                raise
            return False
        return os.path.exists(self.root_certificate)

    def start(self):
        """Control plane, agents, tunnels; returns when every tunnel is ready."""
        self.start_control()
        for node in self.nodes:
            node.agent.start()
            node.tunnel.start()
        for node in self.nodes:
            node.wait_ready()
        return self

    def make_pod(self, name, node, labels=None, namespace="demo", service_account="default",
                 annotations=None):
        """The pod's namespace and manifest, before the runtime calls the chain."""
        pod = Pod(node, name, namespace, labels, service_account, annotations)
        run(["ip", "netns", "add", name])
        run(["ip", "link", "set", "lo", "up"], netns=pod.netns)

        def no_address_detection():  # two seconds of every ADD, and of no use on this wire
            for scope in ("all", "default"):
                with open(f"/proc/sys/net/ipv6/conf/{scope}/accept_dad", "w",
                          encoding="ascii") as file:
                    file.write("0")
        isolation.in_netns(pod.netns, no_address_detection)
        pod.write_manifest()
        self.pods.append(pod)
        return pod

    def cni_add(self, pod):
        """Runs the chain; the result's addresses go into the pod's status, as kubelet does it."""
        result = json.loads(pod.node.cnitool("add", pod).stdout)
        pod.addresses = [entry["address"].split("/")[0] for entry in result["ips"]]
        pod.write_manifest()
        return result

    def add_pod(self, name, node, **options):
        pod = self.make_pod(name, node, **options)
        self.cni_add(pod)
        return pod

    def remove_pod(self, pod, check=True):
        pod.node.cnitool("del", pod, check=check)
        self.manifests.remove(f"pod-{pod.namespace}-{pod.name}")
        run(["ip", "netns", "delete", pod.name])
        self.pods.remove(pod)

    def tunnel_knows(self, node, text):
        """Whether the tunnel's config dump has the text (an address, a name, an identity)."""
        try:
            return text in node.get(15000, "/config_dump")[1]
        except OSError:
            return False

    def wait_known(self, *pods, seconds=20.0):
        """Every tunnel has heard of the pods' addresses."""
        for node in self.nodes:
            for pod in pods:
                self.wait_text(node, pod.ip, seconds)

    def wait_text(self, node, text, seconds=20.0):
        wait_until(f"{node.name} knows {text}", lambda: self.tunnel_knows(node, text), seconds)

    def wait_captured(self, pod, captured=True, seconds=20.0):
        """The tunnel of the pod's node serves it, or no longer does."""
        def as_wanted():
            try:
                state = json.loads(pod.node.get(15000, "/config_dump")[1]).get("workloadState", {})
            except (OSError, ValueError):
                return False
            entry = state.get(pod.uid)
            return entry is not None and entry.get("state") == "Up" if captured else entry is None
        wait_until(f"{pod.name} is {'' if captured else 'not '}served by the tunnel of "
                   f"{pod.node.name}", as_wanted, seconds)

    def wait_protocol(self, pod, protocol, seconds=20.0):
        """Every tunnel has the pod as HBONE or TCP."""
        def announced(node):
            try:
                dump = json.loads(node.get(15000, "/config_dump")[1])
            except (OSError, ValueError):
                return False
            workloads = dump.get("workloads", [])
            if isinstance(workloads, dict):
                workloads = workloads.values()
            return any(w.get("name") == pod.name and w.get("protocol", "TCP").upper() == protocol
                       and any(pod.ip in ip for ip in w.get("workloadIps", []))
                       for w in workloads)
        for node in self.nodes:
            wait_until(f"{node.name} has {pod.name} as {protocol}",
                       lambda n=node: announced(n), seconds)

    def capture(self, name="wire", only="tcp"):
        """What passes node-a's port of the wire and matches the pcap filter."""
        capture = Capture(self.nodes[0].wire_port, os.path.join(self.folder, name + ".pcap"), only)
        self.captures.append(capture)
        return capture

    def stop_capture(self, capture):
        def send_marker(marker):
            with isolation.in_netns(self.nodes[0].netns, lambda: socket.socket(
                    socket.AF_INET, socket.SOCK_DGRAM)) as handle:
                handle.sendto(marker, (self.nodes[1].address, 9))
        return capture.stop(send_marker)

    def all_programs(self):
        daemons = [p for n in self.nodes for p in (n.tunnel, n.agent) if p]
        return self.programs + daemons + ([self.control] if self.control else [])

    def logs(self, last=3000):
        """The ends of all logs, for a failure's report."""
        return "".join(f"--- {p.name} ({'running' if p.running() else 'ended'})\n{p.log()[-last:]}\n"
                       for p in self.all_programs() if p.process)

    def close(self):
        """Ends everything it started and leaves nothing; safe to call twice."""
        for capture in self.captures:
            capture.kill()
        running = [p for p in self.all_programs() if p.running()]
        for program in running:
            program.process.kill()
        for program in running:
            program.process.wait(20)
        keep = os.environ.get("AMBIT_LAB_LOGS")
        if keep and self.folder and os.path.isdir(self.folder):
            shutil.copytree(self.folder, os.path.join(keep, os.path.basename(self.folder)),
                            ignore=lambda f, names: [n for n in names if n.endswith(".sock")])
        for name in [p.name for p in self.pods] + [n.name for n in self.nodes]:
            if os.path.exists(NETNS + name):
                run(["ip", "netns", "delete", name], check=False)
        self.pods, self.captures = [], []
        run(["ip", "link", "delete", "wire"], check=False)
        if self.folder:
            shutil.rmtree(self.folder, ignore_errors=True)
