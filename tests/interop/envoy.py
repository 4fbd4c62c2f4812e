"""Configurations of a real Envoy: a client of HBONE, and a waypoint."""
import json
import os

_V3 = "type.googleapis.com/envoy.extensions."
_TLS = _V3 + "transport_sockets.tls.v3."
_NETWORK = _V3 + "filters.network."


def _common_tls(certificate, root):
    return {"alpn_protocols": ["h2"],
            "tls_params": {"tls_minimum_protocol_version": "TLSv1_3",
                           "tls_maximum_protocol_version": "TLSv1_3"},
            "tls_certificates": [{"certificate_chain": {"filename": certificate[0]},
                                  "private_key": {"filename": certificate[1]}}],
            "validation_context": {"trusted_ca": {"filename": root}}}


def _address(ip, port):
    return {"socket_address": {"address": ip, "port_value": port}}


def _cluster(name, endpoint, **more):
    return {"name": name, "type": "STATIC", "connect_timeout": "5s",
            "load_assignment": {"cluster_name": name, "endpoints": [
                {"lb_endpoints": [{"endpoint": {"address": endpoint}}]}]}, **more}


def _tunnels(name, ip, certificate, root, identity):
    """A cluster of HBONE tunnels to a pod that must have this identity."""
    tls = _common_tls(certificate, root)
    tls["validation_context"]["match_typed_subject_alt_names"] = [
        {"san_type": "URI", "matcher": {"exact": identity}}]
    return _cluster(
        name, _address(ip, 15008),
        transport_socket={"name": "tls", "typed_config": {
            "@type": _TLS + "UpstreamTlsContext", "common_tls_context": tls}},
        typed_extension_protocol_options={_V3[len("type.googleapis.com/"):] +
            "upstreams.http.v3.HttpProtocolOptions": {
                "@type": _V3 + "upstreams.http.v3.HttpProtocolOptions",
                "explicit_http_config": {"http2_protocol_options": {}}}})


def _into_tunnel(cluster, authority):
    return {"filters": [{"name": "tcp", "typed_config": {
        "@type": _NETWORK + "tcp_proxy.v3.TcpProxy", "stat_prefix": cluster, "cluster": cluster,
        "tunneling_config": {"hostname": authority}}}]}


def client(port, server, authority, certificate, root):
    """Listens on 127.0.0.1:port and carries each connection to `authority` in `server`'s pod."""
    return {"static_resources": {
        "listeners": [{"name": "in", "address": _address("127.0.0.1", port),
                       "filter_chains": [_into_tunnel("server", authority)]}],
        "clusters": [_tunnels("server", server.ip, certificate, root, server.spiffe)]}}


def waypoint(server, authority, certificate, root):
    """Ends HBONE on 15008 and begins it anew towards `authority` in `server`'s pod."""
    tls = {"@type": _TLS + "DownstreamTlsContext", "require_client_certificate": True,
           "common_tls_context": _common_tls(certificate, root)}
    connect = {"match": {"connect_matcher": {}}, "route": {
        "cluster": "onward", "upgrade_configs": [
            {"upgrade_type": "CONNECT", "connect_config": {}}]}}
    manager = {"@type": _NETWORK + "http_connection_manager.v3.HttpConnectionManager",
               "stat_prefix": "hbone", "codec_type": "HTTP2",
               "http2_protocol_options": {"allow_connect": True},
               "upgrade_configs": [{"upgrade_type": "CONNECT"}],
               "route_config": {"virtual_hosts": [
                   {"name": "all", "domains": ["*"], "routes": [connect]}]},
               "http_filters": [{"name": "router", "typed_config": {
                   "@type": _V3 + "filters.http.router.v3.Router"}}]}
    return {
        "bootstrap_extensions": [{"name": "internal_listener", "typed_config": {
            "@type": _V3 + "bootstrap.internal_listener.v3.InternalListener"}}],
        "static_resources": {
            "listeners": [
                {"name": "hbone", "address": {"socket_address": {
                    "address": "::", "ipv4_compat": True, "port_value": 15008}},
                 "filter_chains": [{
                     "transport_socket": {"name": "tls", "typed_config": tls},
                     "filters": [{"name": "http", "typed_config": manager}]}]},
                {"name": "onward", "internal_listener": {},
                 "filter_chains": [_into_tunnel("server", authority)]}],
            "clusters": [
                _cluster("onward", {"envoy_internal_address": {"server_listener_name": "onward"}}),
                _tunnels("server", server.ip, certificate, root, server.spiffe)]}}


def write(folder, name, configuration):
    """The command line that runs it."""
    path = os.path.join(folder, f"envoy-{name}.json")
    with open(path, "w", encoding="utf-8") as file:
        json.dump(configuration, file, indent=1)
    return [os.environ["PEER_ENVOY"], "--config-path", path, "--disable-hot-restart",
            "--concurrency", "1", "--log-level", "info"]
