"""The files of the project as the lint checks see them, and the way every check is run.

A check is a module with
  check(root) -> list of "path:line: sentence"
  PLANTED     [(path, content, part of the sentence that must come)]
  CLEAN       [(path, content)] that look similar and must pass
Run with no argument it checks the project; with --self-test it proves that it sees what it is for.
"""
import os
import re
import sys
import tempfile

PROGRAMS = ("cni-plugin", "node-agent", "ztunnel-lite", "control-plane")
SKIPPED_FOLDERS = {".git", "out", "__pycache__", ".venv"}
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def files(root, *suffixes):
    """Paths relative to root, sorted; all files without suffixes."""
    found = []
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(f for f in folders if f not in SKIPPED_FOLDERS)
        for name in sorted(set(names) - SKIPPED_FOLDERS):
            if not suffixes or name.endswith(suffixes):
                found.append(os.path.relpath(os.path.join(folder, name), root))
    return found


def read(root, path):
    with open(os.path.join(root, path), encoding="utf-8", errors="replace") as file:
        return file.read()


def is_test(path):
    stem = os.path.splitext(path)[0]
    return (path.startswith("tests/") or "/testing/" in path
            or stem.endswith(("_test", "_fuzz", "_bench")))


def line_of(text, offset):
    return text.count("\n", 0, offset) + 1


_TOKENS = re.compile(
    r'//[^\n]*|/\*.*?\*/|R"(?P<d>[^(\s]*)\(.*?\)(?P=d)"|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'',
    re.DOTALL)
_DIGIT_SEPARATOR = re.compile(r"(?<=[0-9a-fA-F])'(?=[0-9a-fA-F])")


def without_comments(text, keep_strings=False):
    """C++ text with comments, and unless kept strings, blanked; line numbers stay."""
    text = _DIGIT_SEPARATOR.sub("_", text)

    def blank(match):
        token = match.group(0)
        if token[0] != "/" and keep_strings:
            return token
        edges = token[0] if token[0] in "\"'" else ""
        return edges + re.sub(r"[^\n]", " ", token)[len(edges) * 2:] + edges
    return _TOKENS.sub(blank, text)


def self_test(module):
    failures = []
    for path, content, expected in module.PLANTED:
        with tempfile.TemporaryDirectory(prefix="ambit-lint-") as root:
            plant(root, path, content)
            found = module.check(root)
            if not any(expected in line for line in found):
                failures.append(f"{path}: no finding says '{expected}', found {found}")
    for path, content in module.CLEAN:
        with tempfile.TemporaryDirectory(prefix="ambit-lint-") as root:
            plant(root, path, content)
            failures += [f"{path} is clean, yet: {line}" for line in module.check(root)]
    return failures


def plant(root, path, content):
    target = os.path.join(root, path)
    os.makedirs(os.path.dirname(target), exist_ok=True)
    with open(target, "w", encoding="utf-8") as file:
        file.write(content)


def main(module, only_warn=False):
    if sys.argv[1:] == ["--self-test"]:
        failures = self_test(module)
        count = len(module.PLANTED) + len(module.CLEAN)
        print("\n".join(failures) or f"{count} planted files judged as they should be")
        sys.exit(1 if failures else 0)
    found = module.check(ROOT)
    for line in found:
        print(("warning: " if only_warn else "") + line)
    print(f"{len(found)} finding{'' if len(found) == 1 else 's'}")
    sys.exit(1 if found and not only_warn else 0)
