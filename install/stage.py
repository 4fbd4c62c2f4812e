"""Commands of the demo: each is shown as it is run, in the lab's folder, in a namespace of the lab."""
import os
import re
import shlex
import textwrap

import wire
from node import APPS, CONTROL_ADDRESS, NETWORK, find_cnitool
from program import run


class Stage:
    def __init__(self, lab, screen):
        self.lab, self.screen = lab, screen
        self._asked = 0
        os.chdir(lab.folder)
        os.symlink(APPS, "apps.py")
        os.symlink(find_cnitool(), "cnitool")

    def sh(self, where, words, netns=None, only=None):
        """Runs and shows a command; of what it prints when it succeeds, the lines with `only`."""
        done = run(["sh", "-c", words], netns=netns, check=False)
        lines = done.stdout.splitlines()
        shown = [line for line in lines if only in line] if only and not done.returncode else lines
        self.screen.command(where, words, textwrap.dedent("\n".join(shown)))
        if len(shown) < len(lines):
            self.screen.note(f"({len(lines) - len(shown)} more lines)")
        return done

    def in_pod(self, pod, words):
        return self.sh(pod.name, words, netns=pod.netns).stdout

    def listening(self, pod):
        """The ports that something listens on in the pod's network namespace."""
        sockets = self.in_pod(pod, "ss -Hltn | awk '{print $4}' | sort -u | xargs")
        return {int(word.rsplit(":", 1)[1]) for word in sockets.split()}

    def has_rules(self, pod):
        return "inet ambit" in self.in_pod(pod, "nft list tables")

    def write_cni_environment(self, pod):
        """What the container runtime would pass to the chain, as a file to source."""
        path = f"{pod.name}.env"
        with open(path, "w", encoding="utf-8") as file:
            for name, value in pod.node.cni_environment(pod).items():
                file.write(f"export {name}={shlex.quote(value)}\n")
        return path

    def cnitool(self, command, pod, only=None):
        return self.sh(pod.node.name,
                       f". ./{pod.name}.env; ./cnitool {command} {NETWORK} {pod.netns}",
                       netns=pod.node.netns, only=only)

    def secret(self):
        """A word that no other command sends."""
        self._asked += 1
        return f"secret-{self._asked}-{os.urandom(6).hex()}"

    def ask(self, pod, host, port=8080):
        """Asks while the wire between the nodes is recorded."""
        secret, name = self.secret(), f"wire-{self._asked}"
        capture = self.lab.capture(name)
        self.screen.command("lab", f"tcpdump -i {self.lab.nodes[0].wire_port} -w {name}.pcap &")
        answer = self.in_pod(pod, f"python3 apps.py ask {host} {port} {secret}")
        self.lab.stop_capture(capture)
        count = self.sh("lab", f"grep -c {secret} {name}.pcap").stdout.strip()
        seen = Seen(capture, secret, answer, count != "0")
        self.screen.note(seen.sentence())
        return seen


class Seen:
    """What one question showed: the server's answer, and the wire meanwhile."""

    def __init__(self, capture, secret, answer, found):
        match = re.fullmatch(r"(\S+) said: (\S+)\n", answer)
        self.answered = bool(match) and match.group(2) == secret
        self.client = match.group(1) if match else None  # as the server's app saw it
        self.clear = found or capture.contains(secret.encode())
        # What nodes say to the control plane is not what pods say to each other.
        self._segments = [s for s in capture.segments if s.payload
                          and CONTROL_ADDRESS not in (s.source, s.destination)]
        self._ports = {min(s.source_port, s.destination_port) for s in self._segments}
        self.tunnelled = self._ports == {wire.HBONE_PORT} and is_tls(self._segments)

    def sentence(self):
        ports = ", ".join(str(p) for p in sorted(self._ports)) or "none"
        size = sum(len(s.payload) for s in self._segments)
        return (f"pods' traffic on the wire: {size} bytes, port {ports}, "
                + ("nothing but TLS records; " if self.tunnelled else "not TLS; ")
                + f"the secret {'is there in clear' if self.clear else 'is not there in clear'}")


def is_tls(segments):
    """Whether each direction of each connection is a row of TLS records, from its first byte."""
    flows = {}
    for s in segments:
        flows.setdefault(s[:4], bytearray()).extend(s.payload)
    return all(_is_row_of_records(data) for data in flows.values())


def _is_row_of_records(data):
    offset = 0
    while offset < len(data):
        if not wire.starts_tls(data[offset:offset + 5]):
            return False
        offset += 5 + int.from_bytes(data[offset + 3:offset + 5], "big")
    return True
