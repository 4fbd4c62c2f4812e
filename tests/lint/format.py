"""Every C++ file is as clang-format-19 writes it."""
import os
import re
import subprocess
import sys

import source

WARNING = re.compile(r"^(?P<path>[^:\n]+):(?P<line>\d+):\d+: error: code should be clang-formatted")
BATCH = 100


def check(root):
    style = os.path.join(source.ROOT, ".clang-format")
    paths = source.files(root, ".h", ".cc")
    found = {}
    for start in range(0, len(paths), BATCH):
        run = subprocess.run(
            ["clang-format-19", f"--style=file:{style}", "--dry-run", "-Werror",
             "--ferror-limit=1000", *paths[start:start + BATCH]],
            cwd=root, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        for line in run.stderr.split("\n"):
            match = WARNING.match(line)
            if match:
                found.setdefault(match.group("path"), match.group("line"))
        if run.returncode and not found:
            return [f"clang-format-19 failed: {run.stderr.strip()[:500]}"]
    return [f"{path}:{line}: not as clang-format-19 writes it" for path, line in found.items()]


PLANTED = [("lib/a.cc", "int  f( ){return 1 ;}\n", "a.cc:1: not as clang-format-19")]
CLEAN = [("lib/a.cc", "int F() { return 1; }\n")]

if __name__ == "__main__":
    source.main(sys.modules[__name__])
