"""The tunnel under a real istiod on a real kube-apiserver; agents, plugin and pods are ours.

Certificates live 150 s, which istiod starts two minutes early: every tunnel renews each of them
about every 15 s, so that all of this happens while certificates rotate.
"""
import os
import ssl
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, "mesh"))
# pylint: disable=wrong-import-position
import mesh_case
from istiod_lab import IstiodLab
from lab import AMBIENT
from mesh_case import VIP, VIP6, MeshCase
from program import wait_until
from steady import Steady
from wire import HBONE_PORT

HOLD = 8083
CLIENT_PRINCIPAL = "cluster.local/ns/demo/sa/client"


def security(kind, name, spec):
    return {"apiVersion": "security.istio.io/v1", "kind": kind,
            "metadata": {"name": name, "namespace": "demo"}, "spec": spec}


class UnderIstiod(MeshCase):
    lab_class = IstiodLab
    environment = {"SECRET_TTL": "150s", "RUST_LOG": "info"}

    @classmethod
    def make_mesh(cls):
        super().make_mesh()
        cls.other = cls.lab.add_pod("other", cls.lab.nodes[0], service_account="other",
                                    labels={"app": "other", **AMBIENT})
        cls.lab.wait_captured(cls.other)
        cls.lab.wait_protocol(cls.other, "HBONE")
        for pod in (cls.server, cls.plain):
            pod.serve("say", 8080)
        cls.server.serve("hold", HOLD)

    def applied(self, item):
        self.addCleanup(self.withdraw, item)
        self.lab.cluster.apply(item)

    def withdraw(self, item):
        """Deletes the policy; returns when no tunnel has it, nor a workload with a policy."""
        self.lab.cluster.delete(item)

        def gone(node):
            dump = self.lab.dump(node)
            return not (any(item["metadata"]["name"] in p["name"] for p in dump["policies"])
                        or any(w.get("authorizationPolicies") for w in dump["workloads"]))
        for node in self.lab.nodes:
            wait_until(f"{node.name} has no more of {item['metadata']['name']}",
                       lambda n=node: gone(n))

    def steady(self, pod):
        traffic = Steady(pod, self.server, HOLD)
        self.addCleanup(traffic.end)
        traffic.wait_more(5)
        return traffic

    def assert_undisturbed(self, *traffics):
        for traffic in traffics:
            traffic.wait_more(5)
            traffic.end()
            self.assertEqual(traffic.troubles, 0, f"{traffic.pod.name}: {traffic}")

    def answers(self, pod, host, port=8080):
        return pod.app("ask", host, port, "hello", check=False).returncode == 0

    def open_connection(self, pod):
        connection = pod.connect(self.server.ip, HOLD)
        self.addCleanup(connection.close)
        connection.sendall(b"x")
        self.assertEqual(connection.recv(1), b"x")
        return connection

    def assert_cut(self, connection):
        """The other side ends it, within the connection's own deadline."""
        try:
            self.assertEqual(connection.recv(1), b"")
        except ConnectionError:
            pass

    def presented(self, pod):
        """The certificate a pod's tunnel shows on 15008, checked against istiod's root."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.load_verify_locations(self.lab.root_certificate)
        context.set_alpn_protocols(["h2"])
        with self.plain.connect(pod.ip, HBONE_PORT) as raw:
            with context.wrap_socket(raw, do_handshake_on_connect=False) as tls:
                tls.do_handshake()
                return tls.getpeercert()

    def test_pods_and_services_are_reached_over_hbone(self):
        for host, port in ((self.server.ip, 8080), (self.server.ip6, 8080), (VIP, 80), (VIP6, 80)):
            with self.subTest(host=host):
                secret, answer, capture = self.captured_ask(self.client, host, port)
                self.assertIn(answer.strip(), [f"{a} said: {secret}" for a in self.client.addresses])
                self.assertFalse(capture.contains(secret.encode()), "in clear on the wire")
                self.assertEqual(capture.ports_between(self.client, self.server), {HBONE_PORT})

    def test_a_pods_certificate_is_signed_by_istiod_for_its_account(self):
        for pod in (self.client, self.server):
            self.assertEqual(self.presented(pod)["subjectAltName"], (("URI", pod.spiffe),))

    def test_a_pod_is_reached_from_outside_the_mesh_and_reaches_it(self):
        self.assertTrue(self.answers(self.plain, self.server.ip))
        self.assertTrue(self.answers(self.client, self.plain.ip))

    def test_a_deny_policy_cuts_what_it_denies_until_it_is_gone(self):
        traffic, bystander = self.open_connection(self.client), self.steady(self.other)
        policy = security("AuthorizationPolicy", "no-client", {"action": "DENY", "rules": [
            {"from": [{"source": {"principals": [CLIENT_PRINCIPAL]}}]}]})
        self.applied(policy)
        self.assert_cut(traffic)
        for host, port in ((self.server.ip, 8080), (VIP, 80)):
            self.assertFalse(self.answers(self.client, host, port))
        self.withdraw(policy)
        self.assertTrue(self.answers(self.client, self.server.ip))
        self.assert_undisturbed(bystander)

    # Istio's tunnel leaves open what a policy newly attached to a workload denies.
    def test_a_policy_newly_attached_to_a_workload_cuts_what_it_denies(self):
        traffic, bystander = self.open_connection(self.client), self.steady(self.other)
        policy = security("AuthorizationPolicy", "no-client-here", {
            "selector": {"matchLabels": {"app": "server"}}, "action": "DENY",
            "rules": [{"from": [{"source": {"principals": [CLIENT_PRINCIPAL]}}]}]})
        self.applied(policy)
        self.assert_cut(traffic)
        self.assertFalse(self.answers(self.client, self.server.ip))
        self.withdraw(policy)
        self.assertTrue(self.answers(self.client, self.server.ip))
        self.assert_undisturbed(bystander)

    def test_an_allow_policy_leaves_only_what_it_names(self):
        traffic, allowed = self.open_connection(self.other), self.steady(self.client)
        policy = security("AuthorizationPolicy", "only-client", {
            "action": "ALLOW", "rules": [
                {"from": [{"source": {"serviceAccounts": ["demo/client"]}}],
                 "to": [{"operation": {"ports": ["8080", str(HOLD)]}}]}]})
        self.applied(policy)
        self.assert_cut(traffic)
        self.assertFalse(self.answers(self.other, self.server.ip))
        self.assertFalse(self.answers(self.plain, self.server.ip))
        self.assertTrue(self.answers(self.client, self.server.ip))
        self.withdraw(policy)
        for pod in (self.other, self.plain):
            self.assertTrue(self.answers(pod, self.server.ip))
        self.assert_undisturbed(allowed)

    def test_strict_mode_refuses_plaintext_until_it_is_gone(self):
        meshed = self.steady(self.client)
        strict = security("PeerAuthentication", "strict", {"mtls": {"mode": "STRICT"}})
        self.applied(strict)
        wait_until("plaintext is refused", lambda: not self.answers(self.plain, self.server.ip))
        self.assertTrue(self.answers(self.client, self.server.ip))
        self.withdraw(strict)
        self.assertTrue(self.answers(self.plain, self.server.ip))
        self.assert_undisturbed(meshed)

    # As above: istiod attaches a policy of its own to each workload.
    def test_strict_mode_cuts_open_plaintext(self):
        traffic = self.open_connection(self.plain)
        strict = security("PeerAuthentication", "strict", {"mtls": {"mode": "STRICT"}})
        self.applied(strict)
        self.assert_cut(traffic)
        self.withdraw(strict)

    def test_strict_mode_of_one_workload_may_spare_a_port(self):
        strict = security("PeerAuthentication", "strict-server", {
            "selector": {"matchLabels": {"app": "server"}}, "mtls": {"mode": "STRICT"},
            "portLevelMtls": {"8080": {"mode": "PERMISSIVE"}}})
        self.applied(strict)
        wait_until("the other port is closed",
                   lambda: not self.answers(self.plain, self.server.ip, HOLD))
        self.assertTrue(self.answers(self.plain, self.server.ip, 8080))
        self.withdraw(strict)
        self.assertTrue(self.answers(self.plain, self.server.ip, HOLD))

    def add_service(self, name, address, address6):
        self.lab.manifests.service("demo", name, {"app": "server"}, [address, address6],
                                   {81: 8080})

    def knows(self, node, name):
        return any(s["name"] == name for s in self.lab.dump(node)["services"])

    def wait_service(self, name, known=True):
        for node in self.lab.nodes:
            wait_until(f"{node.name} has {'' if known else 'no '}service {name}",
                       lambda n=node: self.knows(n, name) == known)

    def test_services_come_and_go(self):
        traffic = self.steady(self.client)
        self.add_service("extra", "10.96.0.20", "fd77:96::20")
        self.wait_service("extra")
        for address in ("10.96.0.20", "fd77:96::20"):
            self.assertTrue(self.answers(self.client, address, 81))
        self.lab.manifests.remove("service-demo-extra")
        self.wait_service("extra", known=False)
        self.assert_undisturbed(traffic)

    def test_a_pod_leaves_the_mesh_and_comes_back(self):
        for labels, protocol in (({"app": "other"}, "TCP"), ({"app": "other", **AMBIENT}, "HBONE")):
            self.other.label(labels)
            self.lab.wait_captured(self.other, captured=protocol == "HBONE")
            self.lab.wait_protocol(self.other, protocol)
            self.assertTrue(self.answers(self.other, self.server.ip))
        self.assertTrue(self.answers(self.other, VIP, 80))

    def test_istiod_may_die_and_what_changed_meanwhile_arrives_after(self):
        self.add_service("leaving", "10.96.0.30", "fd77:96::30")
        self.wait_service("leaving")
        policy = security("AuthorizationPolicy", "leaving", {
            "action": "DENY", "rules": [{"to": [{"operation": {"ports": ["8080"]}}]}]})
        self.applied(policy)
        wait_until("the policy holds", lambda: not self.answers(self.client, self.server.ip))
        traffics = self.steady(self.client), self.steady(self.plain)
        self.lab.control.kill()
        for traffic in traffics:
            traffic.wait_more(50)
        self.assertFalse(self.answers(self.client, self.server.ip), "no policy without istiod")
        self.lab.cluster.delete(policy)
        self.lab.manifests.remove("service-demo-leaving")
        self.add_service("arriving", "10.96.0.31", "fd77:96::31")
        self.lab.start_control()
        self.wait_service("arriving")
        self.wait_service("leaving", known=False)
        wait_until("the policy is gone", lambda: self.answers(self.client, "10.96.0.31", 81))
        self.lab.manifests.remove("service-demo-arriving")
        self.wait_service("arriving", known=False)
        self.assert_undisturbed(*traffics)

    def test_a_pod_that_comes_while_istiod_is_away_is_served_once_it_is_back(self):
        self.lab.control.kill()
        late = self.lab.add_pod("late", self.lab.nodes[0], service_account="late",
                                labels={"app": "late", **AMBIENT})
        self.addCleanup(self.lab.remove_pod, late)
        self.assertFalse(self.answers(late, VIP, 80), "nobody has vouched for it")
        self.lab.start_control()
        self.lab.wait_protocol(late, "HBONE")
        wait_until("the pod is answered", lambda: self.answers(late, VIP, 80))
        self.assertEqual(self.presented(late)["subjectAltName"], (("URI", late.spiffe),))

    def test_certificates_rotate_under_traffic(self):
        traffics = self.steady(self.client), self.steady(self.other)
        serial = self.presented(self.server)["serialNumber"]
        for turn in range(3):
            def another(before=serial):
                now = self.presented(self.server)["serialNumber"]
                return now if now != before else None
            serial = wait_until(f"renewal {turn + 1}", another, 90)
        self.assert_undisturbed(*traffics)


if __name__ == "__main__":
    mesh_case.main()
