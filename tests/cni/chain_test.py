"""Every command, in a chain of three plugins, in every version of the specification."""
import json
import os
import unittest

import fake_agent
import rule_program
from node import VERSIONS, NodeTest

ARGS = "IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web-0;K8S_POD_UID=uid-7;OTHER=x"


def versions_from(first):
    return VERSIONS[VERSIONS.index(first):]


class ChainTest(NodeTest):
    def use(self, version, agent_socket=None):
        # Debian's plugins end at 1.0.0.
        prefix = "modern-" if version == "1.1.0" else ""
        self.write_chain(version, [
            {"type": prefix + "ptp",
             "ipam": {"type": "host-local", "subnet": "10.99.0.0/24",
                      "routes": [{"dst": "0.0.0.0/0"}],
                      "dataDir": f"{self.folder}/ipam-{version}"}},
            {"type": "ambit-cni", "agent_socket": agent_socket or self.socket,
             "agent_timeout_ms": 5000},
            {"type": prefix + "tuning", "sysctl": {"net.core.somaxconn": "500"}},
        ])

    def succeed(self, command, pod, args=ARGS):
        done = self.cnitool(command, pod, args)
        self.assertEqual(done.returncode, 0, done)
        return done.stdout

    def test_add_captures_the_pod_and_passes_the_result_on(self):
        for version in VERSIONS:
            with self.subTest(version), fake_agent.FakeAgent(self.socket) as agent:
                self.use(version)
                pod = self.make_namespace("pod")
                rules = []

                def commit(peer, _request, rules=rules, pod=pod):
                    rules.extend(pod.rules())
                    peer.sendall(fake_agent.http(200, b"{}"))

                agent.behaviours["/cmdadd/commit"] = commit
                result = json.loads(self.succeed("add", pod))
                self.assertEqual(agent.paths(), ["/cmdadd", "/cmdadd/commit"])
                self.assertIn(rule_program.LINE, rules, "the rules are in place before the commit")
                self.assertIn(rule_program.LINE, pod.rules())
                self.assert_result(result, version, pod)
                self.assert_request(agent.bodies("/cmdadd")[0], result, pod)
                self.assertEqual(agent.bodies("/cmdadd/commit"), [{"token": "t-1"}])
                self.succeed("del", pod)

    def assert_result(self, result, version, pod):
        self.assertEqual(result["cniVersion"], version)
        self.assertEqual(result["interfaces"][1]["name"], "eth0")
        self.assertEqual(result["interfaces"][1]["sandbox"], pod.path)
        self.assertEqual(result["ips"][0].get("version"), None if version >= "1" else "4")
        self.assertTrue(result["routes"])

    def assert_request(self, body, result, pod):
        address, _, _ = result["ips"][0]["address"].partition("/")
        self.assertEqual(body["Netns"], pod.path)
        self.assertEqual((body["PodNamespace"], body["PodName"], body["PodUID"]),
                         ("shop", "web-0", "uid-7"))
        self.assertEqual(body["IPs"], [{"Interface": 1, "Gateway": "10.99.0.1",
                                        "Address": {"IP": address, "Mask": "////AA=="}}])
        self.assertTrue(body["ContainerID"].startswith("cnitool-"))
        self.assertEqual((body["IfName"], body["Ambit"]), ("eth0", 1))

    def test_a_pod_that_is_not_captured_is_left_alone(self):
        decline = fake_agent.answer(200, {"captured": False, "reason": "no label"})
        for version in VERSIONS:
            with self.subTest(version), fake_agent.FakeAgent(
                    self.socket, {"/cmdadd": decline}) as agent:
                self.use(version)
                pod = self.make_namespace("pod")
                self.assertEqual(json.loads(self.succeed("add", pod))["cniVersion"], version)
                self.assertEqual(agent.paths(), ["/cmdadd"])
                self.assertNotIn(rule_program.LINE, pod.rules())
                self.succeed("del", pod)

    def test_check_passes_right_after_add_and_tells_what_is_wrong_later(self):
        for version in versions_from("0.4.0"):
            with self.subTest(version), fake_agent.FakeAgent(self.socket) as agent:
                self.use(version)
                pod = self.make_namespace("pod")
                self.succeed("add", pod)
                self.assertEqual(self.succeed("check", pod), "")
                self.assertEqual(agent.paths()[-1], "/cmdcheck")
                self.assertEqual(agent.bodies("/cmdcheck"), agent.bodies("/cmdadd"))
                agent.behaviours["/cmdcheck"] = fake_agent.answer(
                    200, {"captured": True, "problems": ["table inet ambit is missing"]})
                done = self.cnitool("check", pod, ARGS)
                self.assertEqual(done.returncode, 1)
                self.assertIn("table inet ambit is missing", done.stderr)
                self.succeed("del", pod)

    def test_del_tells_the_agent_and_may_be_repeated(self):
        for version in VERSIONS:
            with self.subTest(version), fake_agent.FakeAgent(self.socket) as agent:
                self.use(version)
                pod = self.make_namespace("pod")
                self.succeed("add", pod)
                for _ in range(2):
                    self.succeed("del", pod)
                body = agent.bodies("/cmddel")[0]
                self.assertEqual(body["ContainerID"], agent.bodies("/cmdadd")[0]["ContainerID"])
                self.assertEqual(agent.paths().count("/cmddel"), 2)

    def test_outside_kubernetes_everything_works_without_an_agent(self):
        for version in VERSIONS:
            with self.subTest(version):
                self.use(version)
                pod = self.make_namespace("pod")
                result = json.loads(self.succeed("add", pod, args=None))
                self.assertEqual(result["cniVersion"], version)
                if version >= "0.4.0":
                    self.succeed("check", pod, args=None)
                self.succeed("del", pod, args=None)

    def test_without_an_agent_a_pod_waits_and_can_be_deleted(self):
        for version in VERSIONS:
            with self.subTest(version):
                self.use(version)
                pod = self.make_namespace("pod")
                done = self.cnitool("add", pod, ARGS)
                self.assertEqual(done.returncode, 1)
                self.assertIn("start ambit-agent on this node", done.stderr)
                self.assertIn(self.socket, done.stderr)
                self.succeed("del", pod)
                self.assertEqual(os.listdir(f"{self.folder}/results"), [], "nothing to GC")

    def test_del_succeeds_when_the_namespace_is_gone(self):
        with fake_agent.FakeAgent(self.socket) as agent:
            for version in VERSIONS:
                with self.subTest(version):
                    environment = {"CNI_COMMAND": "DEL", "CNI_CONTAINERID": "c1",
                                   "CNI_NETNS": "/run/netns/gone", "CNI_IFNAME": "eth0",
                                   "CNI_ARGS": ARGS}
                    config = {"cniVersion": version, "name": "mesh", "agent_socket": self.socket}
                    done = self.run_plugin(environment, config)
                    self.assertEqual((done.returncode, done.stdout, done.stderr), (0, b"", b""))
            self.assertEqual(agent.paths(), ["/cmddel"] * len(VERSIONS))

    def test_status_is_asked_of_the_agent(self):
        self.use("1.1.0")
        with fake_agent.FakeAgent(self.socket) as agent:
            self.succeed("status", self.node)
            self.assertEqual(agent.paths(), ["/status"])
        done = self.cnitool("status", self.node)
        self.assertEqual(done.returncode, 1)
        self.assertIn("ambit-agent cannot be asked", done.stderr)

    def test_gc_ends_every_attachment_of_the_network(self):
        self.use("1.1.0")
        with fake_agent.FakeAgent(self.socket) as agent:
            pod = self.make_namespace("pod")
            self.succeed("add", pod)
            self.succeed("gc", pod)
            # cnitool deletes what it has and then sends GC without a list of what is valid.
            self.assertEqual(agent.paths(), ["/cmdadd", "/cmdadd/commit", "/cmddel"])

    def test_gc_passes_the_valid_attachments_on(self):
        with fake_agent.FakeAgent(self.socket) as agent:
            done = self.run_plugin(
                {"CNI_COMMAND": "GC", "CNI_PATH": "/opt/cni/bin"},
                {"cniVersion": "1.1.0", "name": "mesh", "agent_socket": self.socket,
                 "cni.dev/valid-attachments": [{"containerID": "c1", "ifname": "eth0"}]})
            self.assertEqual((done.returncode, done.stdout), (0, b""), done)
            self.assertEqual(agent.bodies("/cmdgc"), [
                {"ValidAttachments": [{"ContainerID": "c1", "IfName": "eth0"}]}])

    def test_version_and_usage_need_no_stdin(self):
        done = self.run_plugin({"CNI_COMMAND": "VERSION"}, b"")
        self.assertEqual(json.loads(done.stdout),
                         {"cniVersion": "1.1.0", "supportedVersions": list(VERSIONS)})
        done = self.run_plugin({}, b"")
        self.assertEqual((done.returncode, done.stdout), (0, b""))
        self.assertIn(b"0.3.0, 0.3.1, 0.4.0, 1.0.0, 1.1.0", done.stderr)

    def test_a_result_keeps_its_unknown_keys_and_their_order(self):
        text = ('{"x-first": [1.5, null], "cniVersion": "%s", "ips": [{"address": "fd00::2/64", '
                '"version": "6", "x": {"b": 1, "a": 2}}], "dns": {"search": ["a"]}, "x-last": "é"}')
        pod = self.make_namespace("pod")
        for version in VERSIONS:
            with self.subTest(version):
                config = '{"cniVersion": "%s", "name": "mesh", "prevResult": %s}' % (
                    version, text % version)
                done = self.run_plugin({"CNI_COMMAND": "ADD", "CNI_CONTAINERID": "c1",
                                        "CNI_NETNS": pod.path, "CNI_IFNAME": "eth0"}, config)
                self.assertEqual(done.returncode, 0, done)
                wanted = json.loads(text % version)
                if version >= "1":
                    del wanted["ips"][0]["version"]
                self.assertEqual(json.dumps(json.loads(done.stdout)), json.dumps(wanted))


if __name__ == "__main__":
    unittest.main(verbosity=2)
