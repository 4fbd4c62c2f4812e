"""Reports long functions and files. Only a report: length is a sign, not a fault."""
import re
import sys

import source

MAX_FUNCTION_LINES = 40
MAX_FILE_LINES = 400
OPENING = re.compile(r"^(?P<indent> {0,2})[\w:~<>&*,\[\] ]+[\w>&*\]]?\s*[\w:~]*\([^;{}]*\)[^;{}=]*\{$",
                     re.MULTILINE)
NOT_FUNCTIONS = re.compile(r"^\s*(if|for|while|switch|namespace|class|struct|enum|do|else|return)\b")


def functions(code):
    """(first line, length) of every function body that starts and ends at the same indent."""
    lines = code.split("\n")
    for match in OPENING.finditer(code):
        if NOT_FUNCTIONS.match(match.group(0)):
            continue
        first = source.line_of(code, match.start())
        opening = source.line_of(code, match.end() - 1)
        closing = match.group("indent") + "}"
        for number in range(opening, len(lines)):
            if lines[number].startswith(closing):
                yield first, number + 2 - first
                break


def check(root):
    found = []
    for path in source.files(root, ".h", ".cc"):
        if source.is_test(path):
            continue
        code = source.without_comments(source.read(root, path))
        count = code.count("\n")
        if path.endswith(".cc") and count > MAX_FILE_LINES:
            found.append(f"{path}:1: {count} lines: two things may live in it")
        for first, length in functions(code):
            if length > MAX_FUNCTION_LINES:
                found.append(f"{path}:{first}: a function of {length} lines")
    return found


PLANTED = [
    ("lib/a.cc", "int F(int a,\n      int b) {\n" + "  a += b;\n" * 41 + "}\n",
     "a.cc:1: a function of 44 lines"),
    ("lib/a.cc", "int x;\n" * 401, "401 lines"),
]
CLEAN = [("lib/a.cc", "int F(int a) {\n" + "  a += 1;\n" * 20 + "}\nnamespace {\n" + "int y;\n" * 60
          + "}\n")]

if __name__ == "__main__":
    source.main(sys.modules[__name__], only_warn=True)
