"""What a label does to a pod, shown on two nodes that live in namespaces. Run by install/demo.sh."""
import json
import os
import shlex
import signal
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tests", "mesh"))

import isolation  # noqa: E402
import wire  # noqa: E402
from lab import AMBIENT, Lab  # noqa: E402
from node import APPS, find_cnitool  # noqa: E402
from program import LabError, run  # noqa: E402

VIP, VIP6 = "10.96.0.10", "fd77:96::10"


class Screen:
    """Prints steps, commands and verdicts; remembers the verdicts for the table."""

    def __init__(self):
        colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ
        self._codes = {"bold": "1", "green": "32", "red": "31", "dim": "2"} if colour else {}
        self.verdicts = []
        self.started = time.monotonic()

    def paint(self, text, style):
        return f"\033[{self._codes[style]}m{text}\033[0m" if style in self._codes else text

    def say(self, text):
        print(text, flush=True)

    def step(self, title):
        self.say(f"\n{self.paint(f'{time.monotonic() - self.started:5.1f} s  {title}', 'bold')}")

    def command(self, where, words, output):
        shown = " ".join(shlex.quote(w).replace(ROOT + "/", "") for w in words)
        self.say(self.paint(f"  [{where}] $ ", "dim") + shown)
        for line in output.rstrip().splitlines():
            self.say(f"    {line}")

    def verdict(self, sentence, holds):
        self.verdicts.append((sentence, bool(holds)))
        mark = self.paint("  ok      ", "green") if holds else self.paint("  FAILED  ", "red")
        self.say(mark + sentence)

    def table(self):
        width = max(len(s) for s, _ in self.verdicts)
        self.say("\n" + self.paint("Summary", "bold"))
        for sentence, holds in self.verdicts:
            word = self.paint("holds", "green") if holds else self.paint("DOES NOT HOLD", "red")
            self.say(f"  {sentence.ljust(width)}  {word}")
        missing = sum(1 for _, holds in self.verdicts if not holds)
        self.say(f"  {len(self.verdicts) - missing} of {len(self.verdicts)} lines hold, "
                 f"{time.monotonic() - self.started:.0f} s")
        return missing == 0


class Demo:
    def __init__(self, lab, screen):
        self.lab, self.screen = lab, screen
        self.node_a, self.node_b = lab.nodes
        self.secrets = 0

    def secret(self):
        """A line that no other step sends."""
        self.secrets += 1
        return f"secret-{self.secrets}-{os.urandom(6).hex()}"

    def client_app(self, pod, *words):
        """Runs a client of apps.py in the pod and shows it; its output."""
        done = pod.app(*words, check=False)
        self.screen.command(pod.name, ["python3", APPS, *map(str, words)], done.stdout)
        return done.stdout

    def ask(self, pod, host, port=8080):
        """(secret sent, answer, capture of the wire meanwhile)"""
        secret, capture = self.secret(), self.lab.capture(f"wire-{self.secrets}")
        answer = self.client_app(pod, "ask", host, port, secret)
        return secret, answer, self.lab.stop_capture(capture)

    def cnitool(self, command, pod):
        done = pod.node.cnitool(command, pod, check=False)
        arguments = pod.node.cni_environment(pod)["CNI_ARGS"]
        self.screen.command(pod.node.name, ["env", f"CNI_ARGS={arguments}", find_cnitool(), command,
                                            "ambit", pod.netns], "")
        return done

    def show_capture(self, capture, secret):
        """Prints what passed; (some TLS on 15008, the secret in clear)."""
        hbone = [s for s in capture.segments if wire.HBONE_PORT in s[1:4:2] and s.payload]
        tls = [s for s in hbone if wire.starts_tls(s.payload)]
        clear = capture.contains(secret.encode())
        self.screen.say(f"    wire: {len(capture.segments)} TCP segments, {len(hbone)} with data on "
                        f"port {wire.HBONE_PORT} ({len(tls)} start a TLS record), "
                        f"'{secret}' in clear: {'yes' if clear else 'no'}")
        return bool(tls), clear

    # --- the steps

    def start(self):
        self.screen.step("two nodes, a wire, a control plane; an agent and a tunnel on each node")
        self.lab.manifests.namespace("demo")
        self.lab.start()
        for node in self.lab.nodes:
            words = ["curl", "-sS", "localhost:15021/healthz/ready"]
            body = run(words, netns=node.netns, check=False).stdout
            self.screen.command(node.name, words, body)
            self.screen.verdict(f"the tunnel of {node.name} is ready", body == "ready\n")

    def add_pods(self):
        self.screen.step("pods, each added by cnitool through the chain "
                         f"{self.lab.main_plugin} -> ambit-cni")
        self.client = self.add_pod("client", self.node_a, AMBIENT)
        self.server = self.add_pod("server", self.node_b, AMBIENT)
        self.plain = self.add_pod("plain", self.node_b, {})
        self.lab.manifests.service("demo", "server", {"app": "server"}, [VIP, VIP6], {80: 8080})
        for pod in (self.client, self.server, self.plain):
            pod.serve("say", 8080)
        self.server.serve("banner", 2525)
        for pod in (self.client, self.server):
            self.lab.wait_captured(pod)
            self.lab.wait_protocol(pod, "HBONE")
        self.lab.wait_known(self.plain)
        for node in self.lab.nodes:
            self.lab.wait_text(node, VIP)

    def add_pod(self, name, node, labels):
        pod = self.lab.make_pod(name, node, labels={"app": name, **labels}, service_account=name)
        done = self.cnitool("add", pod)
        if done.returncode:
            self.screen.say(done.stdout)
            self.screen.verdict(f"cnitool add {name}", False)
            raise LabError(f"cnitool add {name} failed")
        result = json.loads(done.stdout)
        pod.addresses = [entry["address"].split("/")[0] for entry in result["ips"]]
        pod.write_manifest()
        mesh = "in the mesh" if labels else "not in the mesh"
        self.screen.say(f"    {name} on {node.name}, {mesh}: {', '.join(pod.addresses)}")
        tables = pod.run("nft", "list", "tables").stdout
        self.screen.command(name, ["nft", "list", "tables"], tables)
        self.screen.verdict(f"cnitool add {name}: " + ("redirect rules in the pod" if labels
                                                       else "no rule in the unlabelled pod"),
                            ("inet ambit" in tables) == bool(labels))
        return pod

    def labelled_to_labelled(self):
        for title, host, port, source in (
                ("pod IP", self.server.ip, 8080, self.client.ip),
                ("pod IP, IPv6", self.server.ip6, 8080, self.client.ip6),
                ("service VIP", VIP, 80, self.client.ip),
                ("service VIP, IPv6", VIP6, 80, None)):
            self.screen.step(f"labelled to labelled by {title}")
            secret, answer, capture = self.ask(self.client, host, port)
            tls, clear = self.show_capture(capture, secret)
            self.screen.verdict(f"labelled to labelled by {title}", secret in answer)
            self.screen.verdict(f"  by {title}: TLS on 15008, payload never in clear",
                                tls and not clear)
            seen = answer.split(" ")[0]
            self.screen.verdict(f"  by {title}: the server's app sees the client's own IP",
                                seen == source if source else seen in self.client.addresses)

    def plaintext(self):
        for title, asker, host in (("labelled to unlabelled", self.client, self.plain),
                                   ("unlabelled to labelled", self.plain, self.client)):
            self.screen.step(f"{title}: plaintext, as without a mesh")
            secret, answer, capture = self.ask(asker, host.ip)
            _, clear = self.show_capture(capture, secret)
            self.screen.verdict(f"{title} works in plaintext",
                                answer.startswith(asker.ip) and secret in answer and clear)

    def relabel(self):
        for labels, title in (({}, "un-labelled"), (AMBIENT, "labelled again")):
            self.screen.step(f"the running server is {title}: no restart, no new ADD")
            path = self.server.label({"app": "server", **labels})
            words = ["grep", "-c", "dataplane-mode", path]
            self.screen.command("lab", words, run(words, check=False).stdout)
            self.lab.wait_captured(self.server, bool(labels))
            self.lab.wait_protocol(self.server, "HBONE" if labels else "TCP")
            secret, answer, capture = self.ask(self.client, self.server.ip)
            tls, clear = self.show_capture(capture, secret)
            self.screen.verdict(f"the running server, {title}: "
                                + ("mTLS" if labels else "plaintext"),
                                secret in answer and (tls and not clear if labels else clear))

    def server_first(self):
        self.screen.step("a protocol where the server speaks first")
        secret = self.secret()
        answer = self.client_app(self.client, "greet", self.server.ip, 2525, secret)
        self.screen.verdict("server-first: the banner comes before the client speaks",
                            answer.startswith("220 banner ready") and f"250 got {secret}" in answer)

    def check_and_delete(self):
        self.screen.step("cnitool check and del")
        for command, pod in (("check", self.client), ("check", self.plain), ("del", self.plain)):
            done = self.cnitool(command, pod)
            if done.stdout:
                self.screen.say("    " + done.stdout.rstrip())
            self.screen.verdict(f"cnitool {command} {pod.name}", done.returncode == 0)

    def access_logs(self):
        self.screen.step("the access logs of both tunnels")
        for node, direction in ((self.node_a, "outbound"), (self.node_b, "inbound")):
            lines = [line for line in node.tunnel.log().splitlines()
                     if "connection complete" in line and f'"{direction}"' in line
                     and self.client.spiffe in line and self.server.spiffe in line]
            self.screen.command(node.name, ["grep", "connection complete",
                                            os.path.basename(node.tunnel.log_path)],
                                "\n".join(lines[:2]))
            self.screen.verdict(f"{node.name} logs {direction} with both SPIFFE identities", lines)

    def run(self):
        for step in (self.start, self.add_pods, self.labelled_to_labelled, self.plaintext,
                     self.relabel, self.server_first, self.check_and_delete, self.access_logs):
            step()


def show_keep(screen, demo):
    enter = "install/demo.sh --in"
    screen.say(f"""
It is still up. Look around:
  {enter} client nft list table inet ambit
  {enter} client python3 {APPS.replace(ROOT + '/', '')} ask {demo.server.ip} 8080 hello
  {enter} node-a curl -s localhost:15000/config_dump
  {enter} lab tail -f {demo.node_a.tunnel.log_path}
  {enter} lab ls {demo.lab.folder}
Tear it down:
  install/demo.sh --down""")


def demonstrate(screen, keep, detach):
    """Exit status."""
    with Lab() as lab:
        demo = Demo(lab, screen)
        try:
            demo.run()
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
    keep = sys.argv[1:] == ["--keep"]
    screen = Screen()
    pid_path = os.path.join(ROOT, "out", "demo.pid")
    detach = isolation.enter(pid_path)
    try:
        status = demonstrate(screen, keep, detach)
    except isolation.Stopped as stopped:
        screen.say(f"\n{stopped}: everything is taken down")
        status = 130
    except LabError as error:
        screen.say(str(error))
        status = 1
    sys.exit(status)


if __name__ == "__main__":
    main()
