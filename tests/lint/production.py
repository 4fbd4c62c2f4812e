"""Production code executes no program: no nft, no ip, no shell."""
import re
import sys

import source

CALL = re.compile(
    r"(?<![\w.>])(?:::|std::)?"
    r"(system|popen|execve?|execvp|execvpe|execvat|execveat|execl|execlp|execle|fexecve|"
    r"posix_spawnp?|vfork|fork)\s*\(")
INCLUDE = re.compile(r"#\s*include\s*<(spawn\.h|boost/process[^>]*)>")


def check(root):
    found = []
    for path in source.files(root, ".h", ".cc"):
        if source.is_test(path) or not path.startswith(("lib/",) + source.PROGRAMS):
            continue
        code = source.without_comments(source.read(root, path))
        for pattern, verb in ((CALL, "calls"), (INCLUDE, "includes")):
            for match in pattern.finditer(code):
                found.append(f"{path}:{source.line_of(code, match.start())}: production code "
                             f"{verb} {match.group(1)}: nothing may execute a program")
    return found


PLANTED = [
    ("lib/net/a.cc", 'int f() { return system("ip link"); }\n', "calls system"),
    ("node-agent/cmd/a.cc", "void f() {\n  ::execve(a, b, c);\n}\n", "a.cc:2: production code calls"),
    ("ztunnel-lite/a.cc", "  if (posix_spawn(&pid, p, 0, 0, v, e)) {}\n", "calls posix_spawn"),
    ("lib/base/a.h", "#include <spawn.h>\n", "includes spawn.h"),
    ("lib/base/a.cc", "auto p = std::system(command);\n", "calls system"),
]
CLEAN = [
    ("lib/net/a.cc", '// system("x")\nconst char* s = "system(1)";\nboost::system::error_code e;\n'),
    ("lib/net/b.cc", "void f() { runner.fork(); runner->system(1); throw std::system_error(e); }\n"),
    ("lib/net/a_test.cc", 'int f() { return system("ip link"); }\n'),
]

if __name__ == "__main__":
    source.main(sys.modules[__name__])
