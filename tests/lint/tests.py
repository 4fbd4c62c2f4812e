"""A test waits for what it expects, with a deadline; it never sleeps and is never skipped."""
import re
import sys

import source

RULES = [
    (re.compile(r"(?<![\w.])(?:::)?(?:u|nano)?sleep\s*\(|\bsleep_(?:for|until)\s*\(|"
                r"\btime\.sleep\s*\(|\basyncio\.sleep\s*\("), "sleeps"),
    (re.compile(r"\bGTEST_SKIP\b|\bDISABLED_\w|\bskipTest\s*\(|@(?:unittest\.)?skip\w*\b|"
                r"\bSkipTest\b"), "skips"),
]
SHELL_SLEEP = re.compile(r"(?:^|[;&|]|\bdo\b|\bthen\b)\s*sleep\s+[\d$.]", re.MULTILINE)


def check(root):
    found = []
    for path in source.files(root, ".cc", ".h", ".py", ".sh"):
        if not source.is_test(path) or path.startswith("tests/lint/"):
            continue
        text = source.read(root, path)
        code = source.without_comments(text) if path.endswith((".cc", ".h")) else text
        rules = [(SHELL_SLEEP, "sleeps")] if path.endswith(".sh") else RULES
        for pattern, verb in rules:
            for match in pattern.finditer(code):
                found.append(f"{path}:{source.line_of(code, match.start())}: the test {verb}: "
                             f"{match.group(0).strip()}")
    return found


PLANTED = [
    ("lib/net/a_test.cc", "  std::this_thread::sleep_for(1s);\n", "the test sleeps"),
    ("lib/net/a_test.cc", "  ::usleep(5);\n", "the test sleeps"),
    ("lib/net/a_test.cc", "  GTEST_SKIP();\n", "the test skips"),
    ("lib/net/a_test.cc", "TEST(A, DISABLED_X) {}\n", "the test skips"),
    ("tests/mesh/a_test.py", "    time.sleep(1)\n", "the test sleeps"),
    ("tests/mesh/a_test.py", "    @unittest.skipIf(x, 'y')\n", "the test skips"),
    ("tests/mesh/a.sh", "true; sleep 1\n", "the test sleeps"),
]
CLEAN = [
    ("lib/net/a.cc", "  ::usleep(5);\n"),
    ("lib/net/a_test.cc", "// sleep(1)\nTEST(Sleep, ASleepingPeerIsCut) { skip_bytes(3); }\n"),
    ("tests/mesh/a.sh", "echo do not sleep\n"),
]

if __name__ == "__main__":
    source.main(sys.modules[__name__])
