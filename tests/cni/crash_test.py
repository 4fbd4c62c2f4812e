"""What is half done is undone: an agent that dies, a plugin that is told to stop, a kernel that refuses."""
import os
import signal
import threading
import unittest

import fake_agent
import rule_program
from node import NodeTest


class CrashTest(NodeTest):
    def setUp(self):
        super().setUp()
        self.pod = self.make_namespace("pod")

    def add(self, timeout_ms=20000):
        return self.run_plugin(
            {"CNI_COMMAND": "ADD", "CNI_CONTAINERID": "c1", "CNI_NETNS": self.pod.path,
             "CNI_IFNAME": "eth0", "CNI_ARGS": "K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web-0"},
            {"cniVersion": "1.1.0", "name": "mesh", "agent_socket": self.socket,
             "agent_timeout_ms": timeout_ms})

    def assert_nothing_left(self):
        self.assertNotIn(rule_program.LINE, self.pod.rules())

    def in_child(self, behaviours):
        """The agent as a process of its own, so that it can be killed."""
        ready, tell = os.pipe()
        pid = os.fork()
        if pid == 0:
            fake_agent.FakeAgent(self.socket, behaviours)
            os.write(tell, b".")
            while True:
                signal.pause()
        os.read(ready, 1)
        for end in (ready, tell):
            os.close(end)
        return pid

    def end_child(self, pid):
        _, status = os.waitpid(pid, 0)
        self.assertEqual(os.WTERMSIG(status), signal.SIGKILL)

    def test_an_agent_killed_when_the_commit_arrives(self):
        def die(_peer, _request):
            # Seen from here the program has run: else the test would prove nothing.
            if rule_program.LINE in self.pod.rules():
                os.kill(os.getpid(), signal.SIGKILL)

        pid = self.in_child({"/cmdadd/commit": die})
        done = self.add()
        self.end_child(pid)
        self.assert_failure(done, 11, "the connection ended early")
        self.assert_nothing_left()

    def test_an_agent_killed_right_after_its_answer(self):
        def answer_and_die(peer, request):
            fake_agent.captured()(peer, request)
            peer.close()
            os.kill(os.getpid(), signal.SIGKILL)

        # A commit that still reaches the dying agent gets no answer.
        pid = self.in_child({"/cmdadd": answer_and_die, "/cmdadd/commit": fake_agent.silent})
        done = self.add()
        self.end_child(pid)
        self.assert_failure(done, 11, "ambit-agent")
        self.assert_nothing_left()

    def test_an_agent_gone_before_the_commit_with_its_socket_file_left(self):
        with fake_agent.FakeAgent(self.socket) as agent:
            def answer_and_close(peer, request):
                agent.stop_listening()
                fake_agent.captured()(peer, request)

            agent.behaviours["/cmdadd"] = answer_and_close
            self.assert_failure(self.add(), 11, "Connection refused")
        self.assert_nothing_left()

    def test_a_commit_that_is_never_answered(self):
        with fake_agent.FakeAgent(self.socket, {"/cmdadd/commit": fake_agent.silent}) as agent:
            self.assert_failure(self.add(timeout_ms=2000), 11, "within")
            self.assertEqual(agent.paths(), ["/cmdadd", "/cmdadd/commit", "/cmdadd/abort"])
            self.assertEqual(agent.bodies("/cmdadd/abort"), [{"token": "t-1"}])
        self.assert_nothing_left()

    def test_a_plugin_told_to_stop_during_the_commit(self):
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            def stop(peer, request, number=number):
                os.kill(request.pid, number)
                fake_agent.silent(peer, request)

            with self.subTest(number), fake_agent.FakeAgent(
                    self.socket, {"/cmdadd/commit": stop}) as agent:
                self.assert_failure(self.add(), 11, "stopped on request")
                self.assertEqual(agent.paths(), ["/cmdadd", "/cmdadd/commit", "/cmdadd/abort"])
            self.assert_nothing_left()

    def test_a_plugin_told_to_stop_while_it_asks(self):
        def stop(peer, request):
            os.kill(request.pid, signal.SIGTERM)
            fake_agent.silent(peer, request)

        with fake_agent.FakeAgent(self.socket, {"/cmdadd": stop}):
            self.assert_failure(self.add(), 11, "stopped on request")
        self.assert_nothing_left()

    def test_a_program_the_kernel_refuses_half_way(self):
        behaviours = {"/cmdadd": fake_agent.captured(program=rule_program.add_then_fail())}
        with fake_agent.FakeAgent(self.socket, behaviours) as agent:
            self.assert_failure(self.add(), 11, "add rule twice")
            self.assertEqual(agent.paths(), ["/cmdadd", "/cmdadd/abort"])
        self.assert_nothing_left()

    def test_an_undo_the_kernel_refuses_is_said(self):
        broken = rule_program.program(
            rule_program.transaction("undo", rule_program.message(rule_program.RTM_NEWRULE, 0x605)))
        behaviours = {"/cmdadd": fake_agent.captured(undo=broken),
                      "/cmdadd/commit": fake_agent.answer(503, {"error": "no tunnel",
                                                                "retry": True})}
        with fake_agent.FakeAgent(self.socket, behaviours):
            self.assert_failure(self.add(), 11, "could not be taken out again")

    def test_parallel_adds_do_not_disturb_each_other(self):
        pods = [self.make_namespace("pod") for _ in range(8)]
        outcomes = []

        def add_to(pod):
            outcomes.append(self.run_plugin(
                {"CNI_COMMAND": "ADD", "CNI_CONTAINERID": pod.name, "CNI_NETNS": pod.path,
                 "CNI_IFNAME": "eth0", "CNI_ARGS": "K8S_POD_NAMESPACE=a;K8S_POD_NAME=b"},
                {"cniVersion": "1.1.0", "name": "mesh", "agent_socket": self.socket}).returncode)

        with fake_agent.FakeAgent(self.socket):
            threads = [threading.Thread(target=add_to, args=(pod,)) for pod in pods]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        self.assertEqual(outcomes, [0] * len(pods))
        for pod in pods:
            self.assertIn(rule_program.LINE, pod.rules())


if __name__ == "__main__":
    unittest.main(verbosity=2)
