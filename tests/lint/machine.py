"""No path of one person's machine and no registry's host name in any file."""
import re
import sys

import source

# Written in pieces so that this file does not find itself.
PATHS = re.compile(r"(?<![\w.$}])/(?:" + "|".join(["wo" r"rk", "ho" r"me", "Us" r"ers"]) + r")/\w")
HOSTS = re.compile("|".join(re.escape(a + b) for a, b in [
    ("py", "pi.org"), ("files.pythonho", "sted.org"), ("proxy.go", "lang.org"),
    ("sum.go", "lang.org"), ("deb.deb", "ian.org"), ("registry.npm", "js.org"),
    ("dock", "er.io"), ("crat", "es.io"), ("gh", "cr.io"), ("qu", "ay.io"), ("gc", "r.io")]))


def check(root):
    found = []
    for path in source.files(root):
        text = source.read(root, path)
        for pattern, what in ((PATHS, "a path of one machine"), (HOSTS, "a registry's host")):
            for match in pattern.finditer(text):
                found.append(f"{path}:{source.line_of(text, match.start())}: {what}: "
                             f"{match.group(0)}")
    return found


PLANTED = [
    ("install/a.sh", "cp /ho" "me/me/x .\n", "a path of one machine"),
    ("lib/a.cc", 'open("/wo' 'rk/x");\n', "a path of one machine"),
    ("install/Dockerfile", "FROM gc" "r.io/x/y\n", "a registry's host"),
]
CLEAN = [
    ("lib/a.cc", '#include "a/home/x.h"\nconst char* p = "/run/ambit/agent.sock";\n'),
    ("docs/a.md", "the netns/work/ folder and $root/work/x\n"),
]

if __name__ == "__main__":
    source.main(sys.modules[__name__])
