"""A table of bad inputs: each with the code of the specification and words of its sentence.

The real binary runs for each row. Whatever the row, the pod's namespace is as it was afterwards.
"""
import json
import unittest
from dataclasses import dataclass, field

import fake_agent
import rule_program
from fake_agent import answer, captured, http, say
from node import NodeTest

POD_ARGS = "K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web-0"
PREV = {"cniVersion": "1.1.0", "ips": [{"address": "10.0.0.5/24"}]}


@dataclass
class Row:
    name: str
    code: int
    sentence: str
    environment: dict = field(default_factory=dict)  # over those of a good ADD; None takes one away
    stdin: object = None  # the whole of it
    config: dict = field(default_factory=dict)  # over a good configuration; None takes a key away
    agent: dict = None  # behaviours by path; None: nobody listens
    asked: tuple = ()  # which paths the agent must have seen


def program_of(message, family=0):
    return {"transactions": [{"family": family, "messages": [message]}]}


def broken_program(program):
    return {"/cmdadd": captured(program=program)}


ENVIRONMENT = [
    Row("command unknown", 4, "CNI_COMMAND \"PURGE\"", {"CNI_COMMAND": "PURGE"}),
    Row("command in lower case", 4, "CNI_COMMAND \"add\"", {"CNI_COMMAND": "add"}),
    Row("everything missing", 4, "CNI_CONTAINERID, CNI_NETNS, CNI_IFNAME",
        {"CNI_CONTAINERID": None, "CNI_NETNS": None, "CNI_IFNAME": None}),
    Row("container id empty", 4, "CNI_CONTAINERID", {"CNI_CONTAINERID": ""}),
    Row("container id with a slash", 4, "CNI_CONTAINERID \"../x\"", {"CNI_CONTAINERID": "../x"}),
    Row("container id not UTF-8", 4, "CNI_CONTAINERID", {"CNI_CONTAINERID": b"a\xff"}),
    Row("container id over two lines", 4, "CNI_CONTAINERID", {"CNI_CONTAINERID": "a\nb"}),
    Row("interface name too long", 4, "CNI_IFNAME", {"CNI_IFNAME": "sixteen-bytes-xx"}),
    Row("interface name dots", 4, "CNI_IFNAME \"..\"", {"CNI_IFNAME": ".."}),
    Row("interface name with a colon", 4, "CNI_IFNAME", {"CNI_IFNAME": "eth0:1"}),
    Row("namespace absent", 8, "/run/netns/absent", {"CNI_NETNS": "/run/netns/absent"}),
    Row("namespace a plain file", 8, "/etc/hostname", {"CNI_NETNS": "/etc/hostname"}),
    Row("namespace of another kind", 8, "/proc/self/ns/mnt", {"CNI_NETNS": "/proc/self/ns/mnt"}),
    Row("namespace the node's own", 8, "of the runtime itself",
        {"CNI_NETNS": "/proc/self/ns/net"}),
    Row("own namespace outside Kubernetes", 8, "of the runtime itself",
        {"CNI_NETNS": "/proc/self/ns/net", "CNI_ARGS": None}),
    Row("CHECK without a namespace", 4, "CNI_NETNS", {"CNI_COMMAND": "CHECK", "CNI_NETNS": None}),
    Row("DEL without an interface", 4, "CNI_IFNAME", {"CNI_COMMAND": "DEL", "CNI_IFNAME": None}),
    Row("GC without a path", 4, "CNI_PATH", {"CNI_COMMAND": "GC", "CNI_PATH": None}),
    Row("arguments without '='", 4, "\"K8S_POD_NAME\"", {"CNI_ARGS": "K8S_POD_NAME"}),
    Row("arguments with two '='", 4, "\"K8S_POD_NAME=a=b\"", {"CNI_ARGS": "K8S_POD_NAME=a=b"}),
    Row("arguments end with ';'", 4, "ends with ';'", {"CNI_ARGS": POD_ARGS + ";"}),
    Row("arguments unknown", 4, "(FOO, BAR)", {"CNI_ARGS": "FOO=1;BAR=2;" + POD_ARGS}),
    Row("IgnoreUnknown no truth value", 4, "IgnoreUnknown=perhaps",
        {"CNI_ARGS": "IgnoreUnknown=perhaps"}),
]

STDIN = [
    Row("empty", 6, "stdin is empty", stdin=b""),
    Row("not JSON", 6, "is not JSON", stdin=b"hello"),
    Row("cut off", 6, "is not JSON", stdin=b'{"cniVersion": "1.1.0", "na'),
    Row("two objects", 6, "is not JSON", stdin=b"{}{}"),
    Row("not UTF-8", 6, "is not JSON", stdin=b'{"cniVersion": "1.1.0", "name": "\xff"}'),
    Row("a list", 6, "not a JSON object", stdin=b"[]"),
    Row("null", 6, "not a JSON object", stdin=b"null"),
    Row("nested without end", 6, "64 levels", stdin=b'{"a":' * 100000),
    Row("larger than any configuration", 6, "4 MiB", stdin=b" " * (5 << 20)),
    Row("version absent", 1, "0.1.0 (cniVersion is absent)", config={"cniVersion": None}),
    Row("version old", 1, "0.2.0", config={"cniVersion": "0.2.0"}),
    Row("version of the future", 1, "9.0.0", config={"cniVersion": "9.0.0"}),
    Row("version a number", 6, "\"cniVersion\"", config={"cniVersion": 1.1}),
    Row("CHECK before 0.4.0", 1, "since CNI 0.4.0", {"CNI_COMMAND": "CHECK"},
        config={"cniVersion": "0.3.1"}),
    Row("GC before 1.1.0", 1, "since CNI 1.1.0", {"CNI_COMMAND": "GC"},
        config={"cniVersion": "1.0.0"}),
    Row("STATUS before 1.1.0", 1, "since CNI 1.1.0", {"CNI_COMMAND": "STATUS"},
        config={"cniVersion": "1.0.0"}),
    Row("name absent", 7, "no \"name\"", config={"name": None}),
    Row("name with a slash", 7, "\"a/b\"", config={"name": "a/b"}),
    Row("name a list", 6, "\"name\"", config={"name": []}),
    Row("socket relative", 7, "\"agent.sock\"", config={"agent_socket": "agent.sock"}),
    Row("socket too long", 7, "107 bytes", config={"agent_socket": "/" + "x" * 107}),
    Row("socket with a NUL", 7, "agent_socket", config={"agent_socket": "/a\0b"}),
    Row("socket a number", 6, "\"agent_socket\"", config={"agent_socket": 1}),
    Row("timeout zero", 7, "agent_timeout_ms 0", config={"agent_timeout_ms": 0}),
    Row("timeout of a day", 7, "agent_timeout_ms 86400000", config={"agent_timeout_ms": 86400000}),
    Row("timeout a text", 6, "\"agent_timeout_ms\"", config={"agent_timeout_ms": "20s"}),
    Row("valid attachments no list", 6, "valid-attachments", {"CNI_COMMAND": "GC"},
        config={"cni.dev/valid-attachments": {}}),
    Row("valid attachments without names", 6, "valid-attachments", {"CNI_COMMAND": "GC"},
        config={"cni.dev/valid-attachments": [{"containerID": "a"}]}),
]

PREV_RESULT = [
    Row("a text", 6, "\"prevResult\"", config={"prevResult": "x"}),
    Row("of an old version", 2, "0.2.0", config={"prevResult": {"cniVersion": "0.2.0"}}),
    Row("with a version that is a number", 6, "cniVersion", config={"prevResult": {"cniVersion": 1}}),
    Row("ips an object", 6, "\"ips\"", config={"prevResult": {"ips": {}}}),
    Row("an address without text", 6, "ips[0]", config={"prevResult": {"ips": [{}]}}),
    Row("an address without length", 6, "10.0.0.5",
        config={"prevResult": {"ips": [{"address": "10.0.0.5"}]}}),
    Row("an address with too long a prefix", 6, "10.0.0.5/33",
        config={"prevResult": {"ips": [{"address": "10.0.0.5/33"}]}}),
    Row("the second address no address", 6, "ips[1]",
        config={"prevResult": {"ips": [PREV["ips"][0], {"address": "ten/8"}]}}),
    Row("a gateway that is a number", 6, "gateway",
        config={"prevResult": {"ips": [dict(PREV["ips"][0], gateway=1)]}}),
    Row("an interface that is a text", 6, "interface",
        config={"prevResult": {"ips": [dict(PREV["ips"][0], interface="eth0")]}}),
    Row("CHECK without any", 7, "prevResult", {"CNI_COMMAND": "CHECK"},
        config={"prevResult": None}),
]

SOCKET = [
    Row("no agent", 11, "start ambit-agent on this node"),
    Row("CHECK without an agent", 11, "start ambit-agent", {"CNI_COMMAND": "CHECK"}),
    Row("STATUS without an agent", 50, "start ambit-agent", {"CNI_COMMAND": "STATUS"}),
    Row("GC without an agent", 11, "start ambit-agent", {"CNI_COMMAND": "GC"},
        config={"cni.dev/valid-attachments": []}),
    Row("closed at once", 11, "ended early", agent={"/cmdadd": say(b"")}, asked=("/cmdadd",)),
    Row("never answers", 11, "agent_timeout_ms is 300", config={"agent_timeout_ms": 300},
        agent={"/cmdadd": fake_agent.silent}, asked=("/cmdadd",)),
    Row("half a header", 11, "ended early", agent={"/cmdadd": say(b"HTTP/1.1 200 O")}),
    Row("half a body", 11, "ended early",
        agent={"/cmdadd": say(http(200, b'{"captured": false}')[:-5])}),
    Row("another protocol", 11, "not usable", agent={"/cmdadd": say(b"SSH-2.0-OpenSSH\r\n\r\n")}),
    Row("bytes", 11, "not usable", agent={"/cmdadd": say(bytes(range(256)) * 40)}),
    Row("a length that is no number", 11, "not usable",
        agent={"/cmdadd": say(b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n")}),
    Row("a header without end", 11, "not usable",
        agent={"/cmdadd": say(b"HTTP/1.1 200 OK\r\nx: " + b"y" * 100000)}),
    Row("a huge length", 11, "not usable",
        agent={"/cmdadd": say(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n")}),
    Row("a body without end", 11, "not usable", agent={"/cmdadd": fake_agent.endless}),
    Row("a body nested without end", 11, "not JSON",
        agent={"/cmdadd": say(http(200, b"[" * 100000))}),
    Row("a redirect", 11, "answered 302", agent={"/cmdadd": say(http(302))}),
    Row("an older agent's 404", 11, "answered 404: 404 page not found",
        agent={"/cmdadd": say(http(404, b"404 page not found\n", "text/plain"))}),
    Row("Istio's error text", 11, "answered 500: pod not found",
        agent={"/cmdadd": say(http(500, b"pod not found\n", "text/plain"))}),
    Row("not now", 11, "no tunnel is connected",
        agent={"/cmdadd": answer(503, {"error": "no tunnel is connected", "retry": True})}),
    Row("never", 101, "not on this node",
        agent={"/cmdadd": answer(500, {"error": "not on this node", "retry": False})}),
    Row("a request the agent does not understand", 7, "Netns is missing",
        agent={"/cmdadd": answer(400, {"error": "Netns is missing", "retry": False})}),
    Row("an empty body", 11, "not JSON", agent={"/cmdadd": say(http(200))}),
    Row("a list", 11, "not a JSON object", agent={"/cmdadd": answer(200, [])}),
    Row("captured a text", 11, "\"captured\"", agent={"/cmdadd": answer(200, {"captured": "no"})}),
    Row("captured without anything", 11, "\"token\"",
        agent={"/cmdadd": answer(200, {"captured": True})}),
    Row("token a number", 11, "\"token\"",
        agent={"/cmdadd": answer(200, {"captured": True, "token": 5})}),
    Row("program absent", 11, "\"program\"",
        agent={"/cmdadd": answer(200, {"captured": True, "token": "t"})},
        asked=("/cmdadd", "/cmdadd/abort")),
    Row("undo absent", 11, "\"undo\"",
        agent={"/cmdadd": answer(200, {"captured": True, "token": "t",
                                       "program": rule_program.add()})},
        asked=("/cmdadd", "/cmdadd/abort")),
    Row("program a list", 11, "\"program\"",
        agent={"/cmdadd": answer(200, {"captured": True, "token": "t", "program": []})}),
    Row("message not base64", 11, "\"program\"",
        agent=broken_program(program_of({"name": "x", "bytes": "!!"}))),
    Row("message shorter than its header says", 11, "\"program\"",
        agent=broken_program(program_of({"name": "x", "bytes": "/////w=="}))),
    Row("message of another family", 11, "\"program\"",
        agent=broken_program(program_of(
            rule_program.add()["transactions"][0]["messages"][0], family=16))),
    Row("the kernel refuses the program", 11, "could not be set up",
        agent=broken_program(rule_program.add_then_fail()), asked=("/cmdadd", "/cmdadd/abort")),
    Row("commit refused", 11, "no ack",
        agent={"/cmdadd/commit": answer(503, {"error": "no ack", "retry": True})},
        asked=("/cmdadd", "/cmdadd/commit", "/cmdadd/abort")),
    Row("commit of a restarted agent", 11, "unknown token",
        agent={"/cmdadd/commit": answer(409, {"error": "unknown token", "retry": True})},
        asked=("/cmdadd", "/cmdadd/commit", "/cmdadd/abort")),
    Row("commit answered with garbage", 11, "not usable",
        agent={"/cmdadd/commit": say(b"garbage\r\n\r\n")},
        asked=("/cmdadd", "/cmdadd/commit", "/cmdadd/abort")),
    Row("check finds damage", 100, "table is missing", {"CNI_COMMAND": "CHECK"},
        agent={"/cmdcheck": answer(200, {"captured": True, "problems": ["table is missing"]})}),
    Row("check answers with another shape", 11, "\"problems\"", {"CNI_COMMAND": "CHECK"},
        agent={"/cmdcheck": answer(200, {"captured": True, "problems": "all"})}),
    Row("gc fails", 11, "disk full", {"CNI_COMMAND": "GC"},
        config={"cni.dev/valid-attachments": []},
        agent={"/cmdgc": answer(500, {"error": "disk full", "retry": True})}),
    Row("status not ready", 50, "no tunnel", {"CNI_COMMAND": "STATUS"},
        agent={"/status": answer(503, {"error": "no tunnel", "impaired": False})}),
    Row("status impaired", 51, "no tunnel", {"CNI_COMMAND": "STATUS"},
        agent={"/status": answer(503, {"error": "no tunnel", "impaired": True})}),
    Row("status garbage", 50, "answered 500", {"CNI_COMMAND": "STATUS"},
        agent={"/status": say(http(500, b"\xff\xfe"))}),
]


def override(base, changes):
    merged = dict(base, **changes)
    return {key: value for key, value in merged.items() if value is not None}


class BadInputTest(NodeTest):
    def setUp(self):
        super().setUp()
        self.pod = self.make_namespace("pod")

    def run_row(self, row):
        environment = override(
            {"CNI_COMMAND": "ADD", "CNI_CONTAINERID": "c1", "CNI_NETNS": self.pod.path,
             "CNI_IFNAME": "eth0", "CNI_PATH": "/opt/cni/bin", "CNI_ARGS": POD_ARGS},
            row.environment)
        config = override(
            {"cniVersion": "1.1.0", "name": "mesh", "type": "ambit-cni",
             "agent_socket": self.socket, "agent_timeout_ms": 20000, "prevResult": PREV},
            row.config)
        return self.run_plugin(environment, json.dumps(config) if row.stdin is None else row.stdin)

    def run_table(self, rows):
        for row in rows:
            with self.subTest(row.name):
                if row.agent is None:
                    done = self.run_row(row)
                else:
                    with fake_agent.FakeAgent(self.socket, row.agent) as agent:
                        done = self.run_row(row)
                    if row.asked:
                        self.assertEqual(tuple(agent.paths()), row.asked)
                self.assert_failure(done, row.code, row.sentence)
                self.assertNotIn(rule_program.LINE, self.pod.rules())

    def test_environment(self):
        self.run_table(ENVIRONMENT)

    def test_stdin(self):
        self.run_table(STDIN)

    def test_prev_result(self):
        self.run_table(PREV_RESULT)

    def test_socket(self):
        self.run_table(SOCKET)

    def test_a_closed_stdin_is_an_io_error(self):
        done = self.run_plugin(
            {"CNI_COMMAND": "STATUS"}, b"", prefix=("sh", "-c", 'exec "$0" <&-'))
        self.assert_failure(done, 5, "stdin")

    def test_the_table_is_long_enough_and_has_no_row_twice(self):
        rows = ENVIRONMENT + STDIN + PREV_RESULT + SOCKET
        self.assertGreaterEqual(len(rows), 40)
        for table in (ENVIRONMENT, STDIN, PREV_RESULT, SOCKET):
            self.assertEqual(len({row.name for row in table}), len(table))


if __name__ == "__main__":
    unittest.main(verbosity=2)
