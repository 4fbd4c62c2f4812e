"""No coroutine lambda with captures: the captures die with the lambda, not with the coroutine."""
import re
import sys

import source

LAMBDA = re.compile(
    r"\[(?P<captures>[^\[\]]*)\]\s*(?:\((?:[^()]|\([^()]*\))*\)\s*)?(?:mutable\s*)?(?:noexcept\s*)?"
    r"->\s*(?P<type>[\w:]*(?:awaitable|Awaitable|Task)\s*<)")


def check(root):
    found = []
    for path in source.files(root, ".h", ".cc"):
        code = source.without_comments(source.read(root, path))
        for match in LAMBDA.finditer(code):
            if match.group("captures").strip():
                found.append(f"{path}:{source.line_of(code, match.start())}: a coroutine lambda "
                             f"captures [{match.group('captures').strip()}]")
    return found


PLANTED = [
    ("lib/a.cc", "auto f = [this]() -> asio::awaitable<void> { co_return; };\n", "captures [this]"),
    ("lib/a.cc", "co_spawn(x,\n  [&, n = g(1)](int a, F b = h()) mutable\n"
     "      -> boost::asio::awaitable<Result<int>> { co_return 1; }, detached);\n", "a.cc:2:"),
    ("lib/a_test.cc", "auto f = [&]\n -> net::Task<int> { co_return 1; };\n", "captures [&]"),
]
CLEAN = [
    ("lib/a.cc", "auto f = []() -> asio::awaitable<void> { co_return; };\n"),
    ("lib/b.cc", "auto f = [this](int x) { return Start(x); };\nint a[3]; auto g = a[1];\n"),
]

if __name__ == "__main__":
    source.main(sys.modules[__name__])
