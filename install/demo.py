"""What a label does to a pod, shown on two nodes that live in namespaces. Run by install/demo.sh."""
import signal

signal.signal(signal.SIGINT, signal.SIG_DFL)  # ends without a traceback until the lab handles it

import json  # noqa: E402
import os  # noqa: E402
import sys  # noqa: E402
import time  # noqa: E402

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tests", "mesh"))

import isolation  # noqa: E402
from lab import AMBIENT, Lab  # noqa: E402
from program import LabError, run  # noqa: E402
from screen import Screen  # noqa: E402
from stage import Stage  # noqa: E402

VIP, VIP6 = "10.96.0.10", "fd77:96::10"
TUNNEL_PORTS = {15001, 15006, 15008}
LABEL = 'istio.io/dataplane-mode: "ambient"'


class Demo:
    def __init__(self, lab, screen):
        self.lab, self.screen, self.stage = lab, screen, Stage(lab, screen)
        self.node_a, self.node_b = lab.nodes

    def start(self):
        self.screen.step("two nodes and a control plane; an agent and a tunnel on each node")
        self.screen.note(f"Commands run in {self.lab.folder}, in the network namespace that [ ] "
                         "names; lab is the wire between the nodes.")
        self.lab.manifests.namespace("demo")
        self.lab.start()
        ready = [self.stage.sh(node.name, "curl -sS localhost:15021/healthz/ready",
                               netns=node.netns).stdout for node in self.lab.nodes]
        self.screen.verdict("the tunnels of both nodes are ready", ready == ["ready\n"] * 2)

    def add_pods(self):
        self.screen.step("three pods, added by cnitool; client and server carry the label")
        self.stage.sh("node-a", f"grep '\"type\"' {os.path.relpath(self.node_a.conflist)}")
        self.client = self.add_pod("client", self.node_a, AMBIENT)
        self.server = self.add_pod("server", self.node_b, AMBIENT)
        self.plain = self.add_pod("plain", self.node_b, {})
        self.lab.manifests.service("demo", "server", {"app": "server"}, [VIP, VIP6], {80: 8080})
        self.apps = {pod.name: pod.serve("say", 8080)
                     for pod in (self.client, self.server, self.plain)}
        self.server.serve("banner", 2525)
        for pod in (self.client, self.server):
            self.lab.wait_protocol(pod, "HBONE")
        self.lab.wait_known(self.plain)
        for node in self.lab.nodes:
            self.lab.wait_text(node, VIP)

    def add_pod(self, name, node, labels):
        pod = self.lab.make_pod(name, node, labels={"app": name, **labels}, service_account=name)
        environment = self.stage.write_cni_environment(pod)
        if name == "client":
            self.stage.sh(node.name, f"cat {environment}")
        done = self.stage.cnitool("add", pod, only='"address"')
        if done.returncode:
            raise LabError(f"cnitool add {name} failed")
        result = json.loads(done.stdout)
        pod.addresses = [entry["address"].split("/")[0] for entry in result["ips"]]
        pod.write_manifest()
        rules, ports = self.stage.has_rules(pod), self.stage.listening(pod)
        if labels:
            self.screen.verdict(f"cnitool add {name}: rules and the tunnel's sockets are in the pod",
                                rules and TUNNEL_PORTS <= ports)
        else:
            self.screen.verdict(f"cnitool add {name}: nothing is put into the unlabelled pod",
                                not rules and not ports)
        return pod

    def labelled_to_labelled(self):
        for title, host, port, sources in (
                ("pod IP", self.server.ip, 8080, [self.client.ip]),
                ("pod IPv6", self.server.ip6, 8080, [self.client.ip6]),
                ("service VIP", VIP, 80, [self.client.ip]),
                ("service VIPv6", VIP6, 80, self.client.addresses)):
            self.screen.step(f"labelled to labelled by {title}")
            seen = self.stage.ask(self.client, host, port)
            self.screen.verdict(f"by {title}: the server's app sees the client's own IP",
                                seen.answered and seen.client in sources)
            self.screen.verdict(f"by {title}: TLS on 15008 only, payload never in clear",
                                seen.tunnelled and not seen.clear)

    def plaintext(self):
        for title, asker, host in (("labelled to unlabelled", self.client, self.plain),
                                   ("unlabelled to labelled", self.plain, self.client)):
            self.screen.step(f"{title}: as without a mesh")
            seen = self.stage.ask(asker, host.ip)
            self.screen.verdict(f"{title}: answered, in plaintext",
                                seen.answered and seen.client == asker.ip and seen.clear)

    def relabel(self):
        pids = [app.pid for app in self.apps.values()]
        manifest = f"manifests/pod-demo-{self.server.name}.yaml"
        for labels, title, edit in (
                ({}, "un-labelled", "'/dataplane-mode/d'"),
                (AMBIENT, "labelled again", f"'/^  labels:/a\\    {LABEL}'")):
            self.screen.step(f"the running server is {title}: no restart, no new ADD")
            started = time.monotonic()
            self.stage.sh("lab", f"sed -i {edit} {manifest}")
            self.server.labels = {"app": "server", **labels}
            self.lab.wait_captured(self.server, bool(labels))
            self.lab.wait_protocol(self.server, "HBONE" if labels else "TCP")
            self.screen.note(f"(both nodes know after {time.monotonic() - started:.2f} s)")
            rules = self.stage.has_rules(self.server)
            seen = self.stage.ask(self.client, self.server.ip)
            same = pids == [app.pid for app in self.apps.values() if app.running()]
            self.screen.verdict(
                f"the running server, {title}: " + ("TLS on 15008 only" if labels else "plaintext"),
                seen.answered and rules == bool(labels) and same
                and (seen.tunnelled and not seen.clear if labels else seen.clear))

    def server_first(self):
        self.screen.step("a protocol where the server speaks first")
        secret = self.stage.secret()
        answer = self.stage.in_pod(self.client, f"python3 apps.py greet {self.server.ip} 2525 {secret}")
        self.screen.verdict("server-first: the banner comes before the client speaks",
                            answer == f"220 banner ready for {self.client.ip}\n250 got {secret}\n")

    def check_and_delete(self):
        self.screen.step("cnitool check and del")
        for pod in (self.client, self.plain):
            done = self.stage.cnitool("check", pod)
            self.screen.verdict(f"cnitool check {pod.name}: passes", done.returncode == 0)
        brief = self.add_pod("brief", self.node_a, AMBIENT)
        done = self.stage.cnitool("del", brief)
        self.lab.wait_captured(brief, False)
        links, ports = self.stage.in_pod(brief, "ip -br link"), self.stage.listening(brief)
        self.screen.verdict("cnitool del brief: the tunnel's sockets and the interface are gone",
                            done.returncode == 0 and "eth0" not in links and not ports)
        self.lab.manifests.remove("pod-demo-brief")
        run(["ip", "netns", "delete", brief.name])
        self.lab.pods.remove(brief)

    def access_logs(self):
        self.screen.step("the access logs of both tunnels")
        for node, direction in ((self.node_a, "outbound"), (self.node_b, "inbound")):
            words = (f"grep -m1 'dst.workload=\"server\".*direction=\"{direction}\"' "
                     + os.path.relpath(node.tunnel.log_path))
            line = self.stage.sh(node.name, words).stdout
            self.screen.verdict(
                f"{node.name} logs the {direction} connection with both SPIFFE identities",
                f'src.identity="{self.client.spiffe}"' in line
                and f'dst.identity="{self.server.spiffe}"' in line)

    def run(self):
        for step in (self.start, self.add_pods, self.labelled_to_labelled, self.plaintext,
                     self.relabel, self.server_first, self.check_and_delete, self.access_logs):
            step()


def show_keep(screen, demo):
    enter, server = "install/demo.sh --in", demo.server
    screen.say(f"""
It is still up. Look around (--in client, server, plain, node-a, node-b or lab; no command: a shell):
  {enter} client nft list table inet ambit
  {enter} client python3 apps.py ask {server.ip} 8080 hello
  {enter} node-a curl -s localhost:15000/config_dump
  {enter} node-a sh -c '. ./client.env; ./cnitool check ambit {demo.client.netns}'
  {enter} lab sed -i /dataplane-mode/d manifests/pod-demo-server.yaml
  {enter} lab tail -n 3 {os.path.relpath(demo.node_a.tunnel.log_path)}
  {enter} lab ls
Tear it down:
  install/demo.sh --down""")


def demonstrate(screen, keep, detach):
    """Exit status."""
    with Lab() as lab:
        demo = Demo(lab, screen)
        try:
            demo.run()
        except BrokenPipeError:
            raise
        except (LabError, OSError, ValueError) as error:
            screen.verdict(f"the demo went on to its end: {error}".split("\n")[0][:90], False)
            screen.say(f"{error}\n{lab.logs()}")
        holds = screen.table()
        if keep and hasattr(demo, "server"):
            show_keep(screen, demo)
            detach(0 if holds else 1)
            while True:
                signal.pause()
    return 0 if holds else 1


def main():
    screen = Screen()
    try:
        detach = isolation.enter(os.path.join(ROOT, "out", "demo.pid"))
        status = demonstrate(screen, sys.argv[1:] == ["--keep"], detach)
    except isolation.Stopped as stopped:
        screen.say(f"\n{stopped}: taking everything down")
        status = 128 + signal.Signals[str(stopped)]
    except BrokenPipeError:  # whoever read the output is gone: so are the lab and its namespaces
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        status = 1
    except LabError as error:
        screen.say(str(error))
        status = 1
    sys.exit(status)


if __name__ == "__main__":
    main()
