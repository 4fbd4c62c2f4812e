"""Links and paths in Markdown lead somewhere: a link's file, its heading, a path in `code`."""
import glob
import os
import re
import sys

import source

LINK = re.compile(r"\[[^\]\n]*\]\((?P<target>[^)\s]+)\)")
CODE = re.compile(r"`(?P<path>[\w.*-]+/[\w.*/-]*)`")
FENCE = re.compile(r"^(```+|~~~+).*?^\1", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^#+\s+(.*?)\s*#*$", re.MULTILINE)


def without_fences(text):
    return FENCE.sub(lambda m: re.sub(r"[^\n]", " ", m.group(0)), text)


def anchors(text):
    """The headings of a page, as the names that links give them."""
    found = set()
    for title in HEADING.findall(without_fences(text)):
        found.add(re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-"))
    return found


def link_fault(root, path, target):
    if re.match(r"[a-z]+:", target):
        return None
    file, _, anchor = target.partition("#")
    goal = os.path.normpath(os.path.join(os.path.dirname(path), file)) if file else path
    if not os.path.exists(os.path.join(root, goal)):
        return f"the link leads to {goal}, which is not there"
    if anchor and goal.endswith(".md") and anchor not in anchors(source.read(root, goal)):
        return f"{goal} has no heading #{anchor}"
    return None


def path_fault(root, path, named):
    """A path in code, or its stem, is meant from the page's folder or from the root; where its first
    folder is in neither it is not of this tree."""
    bases = [b for b in (os.path.join(root, os.path.dirname(path)), root)
             if os.path.isdir(os.path.join(b, named.split("/")[0]))]
    if not bases or named.split("/")[0] in source.SKIPPED_FOLDERS:
        return None
    if any(glob.glob(os.path.join(b, named + end)) for b in bases for end in ("", ".*")):
        return None
    return f"{named} is not there"


def check(root):
    found = []
    for path in source.files(root, ".md"):
        text = without_fences(source.read(root, path))
        for pattern, group, judge in ((LINK, "target", link_fault), (CODE, "path", path_fault)):
            for match in pattern.finditer(text):
                fault = judge(root, path, match.group(group))
                if fault:
                    found.append(f"{path}:{source.line_of(text, match.start())}: {fault}")
    return found


PLANTED = [
    ("README.md", "see [docs](docs/zds.md)\n", "README.md:1: the link leads to docs/zds.md"),
    ("docs/a.md", "# One two\n\n[up](../README.md)\n", "docs/a.md:3: the link leads to README.md"),
    ("docs/a.md", "# One two\n[here](#one-too)\n", "docs/a.md has no heading #one-too"),
    ("docs/a.md", "open `docs/b.md`\n", "docs/a.md:1: docs/b.md is not there"),
    ("lib/README.md", "open `lib/*.cc`\n", "lib/*.cc is not there"),
]
CLEAN = [
    ("docs/a.md", "# One two, `three`\n[here](#one-two-three) [self](a.md#one-two-three)\n"),
    ("docs/a.md", "[far](https://example.org/x.md) `docs/a.md` `docs/*.md` `docs/a` `docs/`\n"),
    ("docs/a.md", "`/run/ambit/agent.sock` `text/plain` `out/release/bin/ambit-cni`\n"),
    ("docs/a.md", "```\n[not](a/link.md) `docs/not.md`\n```\n"),
]

if __name__ == "__main__":
    source.main(sys.modules[__name__])
