"""The pages of a tunnel: readiness, metrics, log level, what it knows; and its certificates.

Runs with another tunnel, too: AMBIT_TUNNEL_UNDER_TEST.
"""
import http.client
import json

import isolation
import mesh_case
from lab import AMBIENT
from mesh_case import MeshCase
from meters import metric
from program import wait_until
from source_lab import SourceLab

ADMIN, METRICS, READY = 15000, 15020, 15021


class Pages(MeshCase):
    lab_class = SourceLab

    @classmethod
    def make_mesh(cls):
        cls.make_pods()
        cls.await_pods()
        cls.node = cls.lab.nodes[0]
        cls.server.serve("say", 8080)

    def ask(self, port, path, method="GET", **headers):
        """(status, headers, body) of a request to the tunnel of node-a."""
        def connect():
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
            connection.connect()
            return connection
        connection = isolation.in_netns(self.node.netns, connect)
        self.addCleanup(connection.close)
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read().decode()

    def dump(self):
        return json.loads(self.ask(ADMIN, "/config_dump")[2])

    def test_readiness_is_a_get_of_its_path(self):
        status, _, body = self.ask(READY, "/healthz/ready")
        self.assertEqual((status, body), (200, "ready\n"))
        self.assertEqual(self.ask(READY, "/healthz/ready", "POST")[0], 405)
        self.assertEqual(self.ask(READY, "/other")[0], 404)

    def test_admin_pages_that_are_not_there_are_404(self):
        self.assertEqual(self.ask(ADMIN, "/nothing")[0], 404)
        status, _, body = self.ask(ADMIN, "/")
        self.assertEqual(status, 200)
        self.assertIn("config_dump", body)

    def test_the_dump_has_what_istioctl_reads(self):
        dump = self.dump()
        for key in ("workloads", "services", "policies", "stagedServices", "staticConfig",
                    "version", "config", "certificates", "workloadState"):
            self.assertIn(key, dump)
        entry = next(w for w in dump["workloads"] if w["name"] == "client")
        for key in ("uid", "workloadIps", "protocol", "name", "namespace", "node", "status"):
            self.assertIn(key, entry)
        self.assertEqual(entry["protocol"], "HBONE")
        self.assertEqual(dump["workloadState"][self.client.uid]["state"], "Up")

    def test_the_log_level_changes_and_comes_back(self):
        def level():
            return self.ask(ADMIN, "/logging", "POST")[2]
        before = level()
        self.assertIn("current log level is", before)
        self.assertEqual(self.ask(ADMIN, "/logging")[0], 405)
        self.assertEqual(self.ask(ADMIN, "/logging?level=debug", "POST")[0], 200)
        self.assertIn("debug", level())
        self.assertEqual(self.ask(ADMIN, "/logging?level=access=error", "POST")[0], 200)
        self.assertIn("access=error", level())
        self.assertEqual(self.ask(ADMIN, "/logging?level=nonsense=nonsense", "POST")[0], 400)
        self.assertEqual(self.ask(ADMIN, "/logging?reset", "POST")[0], 200)
        self.assertEqual(level(), before)

    def test_metrics_name_the_build_and_the_process(self):
        self.assertEqual(metric(self.node, "istio_build", component="ztunnel"), 1)
        self.assertGreater(metric(self.node, "process_open_fds"), 10)
        self.assertGreater(metric(self.node, "process_max_fds"), 10)
        self.assertGreaterEqual(metric(self.node, "workload_manager_active_proxy_count"), 1)
        self.assertEqual(metric(self.node, "workload_manager_pending_proxy_count"), 0)
        self.assertGreaterEqual(metric(self.node, "istio_xds_message_total"), 2)

    def test_metrics_are_text_in_the_form_that_is_asked_for(self):
        plain = self.ask(METRICS, "/metrics", Accept="text/plain")
        self.assertTrue(plain[1]["content-type" if "content-type" in plain[1] else "Content-Type"]
                        .startswith("text/plain"))
        open_metrics = self.ask(METRICS, "/metrics", Accept="application/openmetrics-text")
        self.assertIn("openmetrics", " ".join(open_metrics[1].values()))
        self.assertTrue(open_metrics[2].endswith("# EOF\n"))
        self.assertEqual(self.ask(METRICS, "/stats/prometheus")[0], 200)

    def certificate(self, account):
        """The state of the account's certificate on node-a; None without one."""
        return next((c["state"] for c in self.dump()["certificates"]
                     if c["identity"].endswith(f"/sa/{account}")), None)

    def test_a_certificate_comes_with_the_first_pod_of_an_account_and_goes_with_the_last(self):
        self.assertIsNone(self.certificate("fresh"))
        pods = [self.lab.add_pod(f"fresh-{n}", self.node, labels=AMBIENT, service_account="fresh")
                for n in (1, 2)]
        wait_until("the certificate is there", lambda: self.certificate("fresh") == "Available")
        self.lab.remove_pod(pods[0])
        self.assertEqual(self.certificate("fresh"), "Available")
        self.lab.remove_pod(pods[1])
        wait_until("the certificate is forgotten", lambda: self.certificate("fresh") is None)

    def test_an_account_of_another_node_has_no_certificate_here(self):
        self.assertIsNone(self.certificate("server"))
        self.assertEqual(self.certificate("client"), "Available")


if __name__ == "__main__":
    mesh_case.main()
