#!/usr/bin/env python3
"""A plugin of CNI 1.1.0 in front of one that knows only 1.0.0, as Debian's do.

Installed as "modern-<name>", it runs <name> from the rest of CNI_PATH. GC and STATUS, which 1.0.0
does not have, succeed.
"""
import json
import os
import subprocess
import sys


def main():
    inner = os.path.basename(sys.argv[0]).removeprefix("modern-")
    config = json.load(sys.stdin)
    if os.environ["CNI_COMMAND"] in ("GC", "STATUS"):
        return 0
    config.update(type=inner, cniVersion="1.0.0")
    if "prevResult" in config:
        config["prevResult"]["cniVersion"] = "1.0.0"
    folders = os.environ["CNI_PATH"].split(":")
    program = next(path for folder in folders if os.path.exists(path := f"{folder}/{inner}"))
    done = subprocess.run([program], input=json.dumps(config), capture_output=True, text=True)
    sys.stderr.write(done.stderr)
    if done.stdout.strip():
        result = json.loads(done.stdout)
        result["cniVersion"] = "1.1.0"
        json.dump(result, sys.stdout)
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
