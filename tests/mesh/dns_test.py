"""A captured pod's questions to DNS: the mesh answers what it knows, the pod's resolver the rest."""
import os

import mesh_case
from lab import AMBIENT
from mesh_case import VIP, VIP6, MeshCase
from program import wait_until
from resolver import TYPE_A, TYPE_AAAA, Resolver, addresses, ask_by_tcp, ask_by_udp, question

SERVER = "server.demo.svc.cluster.local"
EDNS = b"\0\0\x29\x04\xd0\0\0\0\0\0\x0c\0\x0a\0\x08cookie!!"  # 1232 bytes, with a cookie


class Dns(MeshCase):
    differences = {
        **dict.fromkeys(("test_an_unknown_name_is_forwarded_over_tcp",
                         "test_an_unknown_name_is_forwarded_to_the_resolver_the_pod_asked",
                         "test_other_types_are_forwarded",
                         "test_the_c_library_finds_a_name_outside_the_mesh"),
                        "the peer asks the resolvers of its own resolv.conf, not the pod's"),
        "test_a_headless_service_has_its_pods_and_they_have_names": "the peer knows no pod names"}
    environment = {"AMBIENT_DNS_CAPTURE": "true"}

    @classmethod
    def make_mesh(cls):
        super().make_mesh()
        cls.server.serve("say", 8080)
        cls.resolver = Resolver(cls.plain)
        cls.addClassCleanup(cls.resolver.close)
        cls.lab.manifests.service("demo", "peers", {"app": "server"}, ["None"], {80: 8080})
        for node in cls.lab.nodes:
            cls.lab.wait_text(node, "peers.demo.svc.cluster.local")

    def setUp(self):
        self.resolver.received.clear()
        self.resolver.sent.clear()

    def resolve(self, name, kind=TYPE_A):
        answer, source = ask_by_udp(self.client, self.plain.ip, question(name, kind))
        self.assertEqual(source, self.plain.ip, "the answer comes from the server asked")
        return addresses(answer)

    def run_with_resolv_conf(self, pod, *arguments):
        """Runs a program in the pod with a resolv.conf as kubelet writes it."""
        path = os.path.join(self.lab.folder, "resolv.conf")
        with open(path, "w", encoding="ascii") as file:
            file.write(f"nameserver {self.plain.ip}\noptions ndots:5 timeout:5\n"
                       "search demo.svc.cluster.local svc.cluster.local cluster.local\n")
        return pod.run("unshare", "-m", "sh", "-c",
                       f'mount --bind {path} /etc/resolv.conf && exec "$@"', "sh", *arguments)

    def test_a_service_has_its_addresses(self):
        self.assertEqual(self.resolve(SERVER), [VIP])
        self.assertEqual(self.resolve(SERVER, TYPE_AAAA), [VIP6])
        self.assertEqual(self.resolver.received, [], "the mesh knew it")

    def test_a_service_has_its_addresses_over_tcp(self):
        both = ask_by_tcp(self.client, self.plain.ip, question(SERVER),
                          question(SERVER, TYPE_AAAA))
        self.assertEqual([addresses(a) for a in both], [[VIP], [VIP6]])
        self.assertEqual(self.resolver.received, [])

    def test_a_service_has_its_addresses_when_the_resolver_is_asked_over_ipv6(self):
        answer, source = ask_by_udp(self.client, self.plain.ip6, question(SERVER))
        self.assertEqual((addresses(answer), source), ([VIP], self.plain.ip6))

    def test_a_headless_service_has_its_pods_and_they_have_names(self):
        for name in ("peers.demo.svc.cluster.local", "server.peers.demo.svc.cluster.local"):
            self.assertEqual(self.resolve(name), [self.server.ip])
            self.assertEqual(self.resolve(name, TYPE_AAAA), [self.server.ip6])
        self.assertEqual(self.resolver.received, [])

    def assert_forwarded(self, protocol, asked, answer):
        self.assertEqual(len(self.resolver.received), 1)
        received, source, used = self.resolver.received[0]
        self.assertEqual(used, protocol)
        self.assertIn(source, self.client.addresses, "it comes from the pod itself")
        self.assertEqual(received[2:], asked[2:], "the question arrives as it was")
        self.assertEqual(answer[2:], self.resolver.sent[0][2:], "so does the answer")
        self.assertEqual(answer[:2], asked[:2])

    def test_an_unknown_name_is_forwarded_to_the_resolver_the_pod_asked(self):
        for resolver in (self.plain.ip, self.plain.ip6):
            self.setUp()
            asked = question("WwW.Example.Org", options=EDNS)
            answer, source = ask_by_udp(self.client, resolver, asked)
            self.assertEqual(source, resolver)
            self.assert_forwarded("udp", asked, answer)

    def test_an_unknown_name_is_forwarded_over_tcp(self):
        asked = question("www.example.org", options=EDNS)
        self.assert_forwarded("tcp", asked, ask_by_tcp(self.client, self.plain.ip, asked)[0])

    def test_other_types_are_forwarded(self):
        asked = question(SERVER, 33)
        self.assert_forwarded("udp", asked, ask_by_udp(self.client, self.plain.ip, asked)[0])

    def test_an_app_connects_by_a_short_name(self):
        secret = self.secret()
        done = self.run_with_resolv_conf(self.client, "python3", "-B", os.path.join(
            os.path.dirname(os.path.abspath(__file__)), "apps.py"), "ask", "server", "80", secret)
        self.assertIn(f"said: {secret}", done.stdout)
        self.assertEqual(self.resolver.received, [])

    def test_the_c_library_finds_a_name_outside_the_mesh(self):
        done = self.run_with_resolv_conf(
            self.client, "python3", "-c",
            "import socket; print(socket.gethostbyname('www.example.org.'))")
        self.assertEqual(done.stdout.strip(), "198.51.100.9")

    def test_a_pod_may_be_left_out(self):
        pod = self.lab.add_pod("own-dns", self.lab.nodes[0], labels={"app": "x", **AMBIENT},
                               annotations={"ambient.istio.io/dns-capture": "false"})
        self.lab.wait_captured(pod)
        answer, _ = ask_by_udp(pod, self.plain.ip, question(SERVER))
        self.assertEqual(addresses(answer), ["198.51.100.9"])
        self.assertEqual(len(self.resolver.received), 1)
        self.lab.remove_pod(pod)

    def test_questions_are_counted(self):
        self.resolve(SERVER)
        self.resolve("www.example.org")

        def counted():
            text = self.lab.nodes[0].get(15020, "/metrics")[1]
            return all(f"{name}{{request_query_type=\"a\",request_protocol=\"udp\"," in text
                       for name in ("istio_dns_requests_total",
                                    "istio_dns_upstream_requests_total",
                                    "istio_dns_upstream_request_duration_seconds_count"))
        wait_until("the tunnel has counted both questions", counted)


if __name__ == "__main__":
    mesh_case.main()
