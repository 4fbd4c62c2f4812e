"""Names that say nothing, left-over notes, and `using namespace` in headers."""
import re
import sys

import source

BANNED = {"common", "util", "utils", "helper", "helpers", "misc"}
USING = re.compile(r"^\s*using\s+namespace\b", re.MULTILINE)
NOTE = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X)\b")


def check(root):
    found = []
    for path in source.files(root):
        for part in path.split("/"):
            words = set(re.split(r"[_\-.]", part.lower()))
            if words & BANNED:
                found.append(f"{path}:1: '{part}' says nothing about what is in it")
        if not path.endswith((".h", ".cc", ".py", ".sh", ".cmake", ".proto", "CMakeLists.txt")):
            continue
        text = source.read(root, path)
        for match in NOTE.finditer(text):
            found.append(f"{path}:{source.line_of(text, match.start())}: "
                         f"a note of unfinished work: {match.group(1)}")
        if path.endswith(".h"):
            code = source.without_comments(text)
            for match in USING.finditer(code):
                found.append(f"{path}:{source.line_of(code, match.start())}: "
                             "`using namespace` in a header")
    return found


PLANTED = [
    ("lib/util/a.h", "", "'util' says nothing"),
    ("lib/net/socket_helpers.cc", "", "says nothing"),
    ("lib/net/a.h", "namespace x {\n  using  namespace std;\n}\n", "a.h:2: `using namespace`"),
    ("lib/net/a.cc", "// TO" "DO: later\n", "unfinished work"),
]
CLEAN = [
    ("lib/net/communicate.cc", "using namespace std::chrono_literals;\n"),
    ("lib/net/utility_pole.h", "// using namespace in a comment\nusing std::string;\n"),
]

if __name__ == "__main__":
    source.main(sys.modules[__name__])
