"""Who may include whom: layers of lib/, programs apart, no cycles, third-party headers at home."""
import os
import re
import sys

import source

LIB_LAYERS = ("base", "net", "netlink", "http1", "observe", "k8s")  # each only what is before it
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.MULTILINE)

# header prefix -> folder names (any part), whole folders or single files that may include it
HOMES = {
    "libnftnl/": ("node-agent/redirect", "node-agent/probes"),
    "libmnl/": ("node-agent/redirect", "node-agent/probes"),
    "netlink/": ("node-agent/redirect", "node-agent/probes"),
    "openssl/": ("tls", "ca"),
    "nghttp2/": ("hbone",),
    "grpcpp/": ("xds", "identity", "ads", "ca", "callers", "control-plane/app.cc"),
    "grpc/": ("xds", "identity", "ads", "ca", "callers", "control-plane/app.cc"),
    "boost/beast": ("lib/http1", "lib/k8s"),
    "spdlog/": ("lib/observe",),
    "ldns/": ("dns",),
}
ONLY_IN_SOURCES = ("nlohmann/", "yaml-cpp/", "CLI/")
# Values in, values out: nothing here may reach the kernel or the clock.
PURE = re.compile(r"^(node-agent/enroll/|ztunnel-lite/state/|ztunnel-lite/proxy/(route|rbac)\.|"
                  r"control-plane/(index|policy)/)")
IMPURE_HEADERS = ("sys/socket.h", "unistd.h", "fcntl.h", "boost/asio", "lib/net/socket.h",
                  "lib/base/clock.h", "lib/http1/")
IMPURE_NAMES = re.compile(r"\b(ScopedNetns|InNetns|OpenNetns|OpenOwnNetns)\b")


def includes(text):
    stripped = source.without_comments(text, keep_strings=True)
    for match in INCLUDE.finditer(stripped):
        yield source.line_of(stripped, match.start()), match.group(1), match.group(2)


def check_lib(path, header):
    if not path.startswith("lib/"):
        return None
    here = path.split("/")[1]
    if header.startswith(source.PROGRAMS) or header.startswith("tests/"):
        return f"lib/ must not know {header.split('/')[0]}"
    if header.startswith("lib/") and header.count("/") > 1:
        there = header.split("/")[1]
        if here in LIB_LAYERS and there in LIB_LAYERS and \
                LIB_LAYERS.index(there) > LIB_LAYERS.index(here):
            return f"lib/{here} is below lib/{there} and must not include it"
    return None


def check_program(path, header):
    for program in source.PROGRAMS:
        if path.startswith(program + "/"):
            for other in source.PROGRAMS:
                if other != program and header.startswith(other + "/"):
                    return f"{program} must not include a header of {other}"
    return None


def check_home(path, header):
    folder = os.path.dirname(path)
    for prefix, homes in HOMES.items():
        if header.startswith(prefix):
            at_home = any(h in (path, folder) or folder.startswith(h + "/") if "/" in h
                          else h in folder.split("/") for h in homes)
            if not at_home:
                return f"<{header}> belongs behind {', '.join(homes)}"
    if path.endswith(".h") and header.startswith(ONLY_IN_SOURCES):
        return f"<{header}> may be included by .cc files only"
    if PURE.match(path) and header.startswith(IMPURE_HEADERS):
        return f"a pure folder must not include {header}"
    return None


def find_cycles(edges):
    """One finding per pair of sub-folders of a program that reach each other."""
    def reaches(start, goal, seen):
        for nxt in edges.get(start, {}):
            if nxt == goal or (nxt not in seen and reaches(nxt, goal, seen | {nxt})):
                return True
        return False
    found = []
    for start in sorted(edges):
        for goal, where in sorted(edges[start].items()):
            if reaches(goal, start, {goal}):
                found.append(f"{where}: {start} includes {goal}, which leads back to {start}")
    return found


def check(root):
    found, edges = [], {}
    for path in source.files(root, ".h", ".cc"):
        if source.is_test(path):
            continue
        text = source.read(root, path)
        if PURE.match(path):
            code = source.without_comments(text)
            found += [f"{path}:{source.line_of(code, m.start())}: a pure folder must not call "
                      f"{m.group(1)}" for m in IMPURE_NAMES.finditer(code)]
        for line, _, header in includes(text):
            for rule in (check_lib, check_program, check_home):
                sentence = rule(path, header)
                if sentence:
                    found.append(f"{path}:{line}: {sentence}")
            here, there = os.path.dirname(path), os.path.dirname(header)
            if here != there and here.count("/") and there.count("/") and \
                    here.split("/")[0] in source.PROGRAMS and \
                    here.split("/")[0] == there.split("/")[0]:
                edges.setdefault(here, {}).setdefault(there, f"{path}:{line}")
    return found + find_cycles(edges)


PLANTED = [
    ("lib/base/a.h", '#include "lib/net/address.h"\n', "lib/base is below lib/net"),
    ("lib/http1/a.cc", '#include "lib/observe/log.h"\n', "is below lib/observe"),
    ("lib/net/a.cc", '#include "ztunnel-lite/tls/x.h"\n', "must not know ztunnel-lite"),
    ("node-agent/cmd/a.cc", '#include "cni-plugin/request.h"\n', "a header of cni-plugin"),
    ("ztunnel-lite/proxy/a.cc", "#include <openssl/ssl.h>\n", "belongs behind tls, ca"),
    ("ztunnel-lite/proxy/a.cc", "#  include <grpcpp/grpcpp.h>\n", "belongs behind xds"),
    ("node-agent/cmd/a.cc", "#include <libnftnl/rule.h>\n", "belongs behind node-agent/redirect"),
    ("node-agent/enroll/a.cc", "auto x = net::ScopedNetns::Enter(3);\n", "pure folder"),
    ("lib/k8s/a.h", "#include <nlohmann/json.hpp>\n", ".cc files only"),
    ("control-plane/index/a.cc", "#include <sys/socket.h>\n", "pure folder"),
    ("ztunnel-lite/state/a.h", '#include "ztunnel-lite/state/../tls/b.h"\n'
     '#include "lib/base/clock.h"\n', "pure folder"),
]
CLEAN = [
    ("lib/net/a.cc", '#include "lib/base/error.h"\n// #include "lib/k8s/objects.h"\n'),
    ("ztunnel-lite/tls/a.cc", "#include <openssl/ssl.h>\n#include <sys/socket.h>\n"),
    ("node-agent/redirect/a.cc", "#include <libnftnl/rule.h>\n#include <netlink/route/rule.h>\n"),
    ("ztunnel-lite/proxy/a_test.cc", "#include <openssl/ssl.h>\n"),
]

if __name__ == "__main__":
    cycle = find_cycles({"p/a": {"p/b": "x:1"}, "p/b": {"p/a": "y:2"}, "p/c": {"p/a": "z:3"}})
    assert len(cycle) == 2, cycle
    source.main(sys.modules[__name__])
