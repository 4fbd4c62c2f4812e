"""Two nodes, one wire between them, one control plane, real pods: Ambit on one bare machine.

  with Lab() as lab:
      client = lab.add_pod("client", lab.nodes[0], labels=AMBIENT)
      server = lab.add_pod("server", lab.nodes[1], labels=AMBIENT)

Call isolation.enter() first: everything lives in its namespaces and under one folder of its /run.
A node is a network namespace with its own agent and tunnel; a pod is one made by a CNI chain
(ptp or bridge with host-local, then ambit-cni) run by the real cnitool inside the node.
"""
import errno
import json
import os
import shutil
import socket
import tempfile

import isolation
from manifests import ManifestFolder
from node import CONTROL_ADDRESS, CONTROL_PORT, NETNS, Node, Pod, binary
from program import LabError, Program, run, wait_until
from wire import Capture

AMBIENT = {"istio.io/dataplane-mode": "ambient"}


class Lab:
    def __init__(self, main_plugin="ptp", ipv6=True, environment=None, tunnels=(None, None)):
        self.main_plugin, self.ipv6 = main_plugin, ipv6
        self.environment = dict(environment or {})
        self.plugin_folder = os.environ.get("CNI_PLUGIN_DIR") or "/usr/lib/cni"
        self.tunnels = tunnels  # another tunnel's command line for a node, None for ours
        self.folder = self.control = None
        self.nodes, self.pods, self.programs, self.captures = [], [], [], []
        self.successors = []  # (network namespace, its port of the wire) of each

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
        self.nodes = [Node(self, 1, self.tunnels[0]), Node(self, 2, self.tunnels[1])]
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

    def add_successor(self, node):
        """A second tunnel for the node's pods, started in a network namespace on the wire that is
        its own: a tunnel that is a pod does not share its ports with its predecessor either."""
        number = len(self.successors)
        name, port = f"successor-{number}", f"wire-{number}"
        self.successors.append((name, port))
        run(["ip", "netns", "add", name])
        run(["ip", "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", name])
        run(["ip", "link", "set", port, "master", "wire", "up"])
        for command in (["ip", "link", "set", "lo", "up"], ["ip", "link", "set", "eth0", "up"],
                        ["ip", "address", "add", f"172.16.77.{100 + number}/24", "dev", "eth0"]):
            run(command, netns=NETNS + name)
        program = Program(f"{name}-{node.name}", node.tunnel.arguments, self.log_folder,
                          NETNS + name, node.tunnel.environment).start()
        self.programs.append(program)
        return program

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

    def end_programs(self, seconds=20.0):
        """SIGTERM to all daemons at once; {name: exit status} of those that ran. Status 0 also says
        that a build with sanitizers has found nothing, leaks included."""
        daemons = [p for n in self.nodes for p in (n.tunnel, n.agent)] + [self.control]
        running = [p for p in daemons if p.running()]
        for program in running:
            program.process.terminate()
        return {p.name: p.process.wait(seconds) for p in running}

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
        # The wire first, by name: a namespace's own devices go some time after the namespace.
        ports = [n.wire_port for n in self.nodes] + [port for _, port in self.successors]
        for device in ports + ["wire"]:
            run(["ip", "link", "delete", device], check=False)
        for name in ([p.name for p in self.pods] + [n.name for n in self.nodes]
                     + [name for name, _ in self.successors]):
            if os.path.exists(NETNS + name):
                run(["ip", "netns", "delete", name], check=False)
        self.pods, self.captures, self.successors = [], [], []
        if self.folder:
            shutil.rmtree(self.folder, ignore_errors=True)
