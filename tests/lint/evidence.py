"""Every test that docs/ztunnel-compat.md names as evidence exists."""
import os
import re
import sys

import source

PAGE = "docs/ztunnel-compat.md"
EVIDENCE = re.compile(r"`([\w/]+_test\.py)(?::(\w+))?`|`([A-Z]\w+\.[A-Z]\w+)`")
CPP_TEST = re.compile(r"\bTEST(?:_F|_P)?\(\s*(\w+)\s*,\s*(\w+)\s*\)")


def cpp_tests(root):
    found = set()
    for path in source.files(root, "_test.cc"):
        found |= {f"{suite}.{name}" for suite, name in CPP_TEST.findall(source.read(root, path))}
    return found


def check(root):
    if not os.path.exists(os.path.join(root, PAGE)):
        return []
    found, page, known = [], source.read(root, PAGE), cpp_tests(root)
    for match in EVIDENCE.finditer(page):
        file, function, cpp = match.groups()
        path = f"tests/{file}"
        if cpp:
            missing = cpp not in known
        elif not os.path.exists(os.path.join(root, path)):
            missing = True
        else:
            missing = function and f"def {function}(" not in source.read(root, path)
        if missing:
            found.append(f"{PAGE}:{source.line_of(page, match.start())}: "
                         f"no such test: {match.group(0)}")
    return found


PLANTED = [
    (PAGE, "| a | same | `Suite.NoSuchTest` |\n", "no such test: `Suite.NoSuchTest`"),
    (PAGE, "| a | same | `mesh/gone_test.py` |\n", "no such test"),
    (PAGE, "| a | same | `mesh/gone_test.py:test_a` |\n", "no such test"),
]
CLEAN = [
    (PAGE, "| a | same | see `README.md` and `kFlag` |\n"),
    ("lib/net/a_test.cc", "TEST(Suite, Name) {}\n"),
]

if __name__ == "__main__":
    source.main(sys.modules[__name__])
