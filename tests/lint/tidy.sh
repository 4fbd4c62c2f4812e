#!/usr/bin/env bash
# clang-tidy-19 over the production sources of a configured preset, two files at a time.
#   tests/lint/tidy.sh [preset] [path prefix...]      e.g. tests/lint/tidy.sh dev lib/net
# Takes about ten seconds a file, so ctest does not run it; run it on what you changed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
preset=${1:-dev}
shift || true
[ -f "out/$preset/compile_commands.json" ] || cmake --preset "$preset" >/dev/null
if [ $# -eq 0 ]; then
  set -- lib cni-plugin node-agent ztunnel-lite control-plane
fi
find "$@" -name '*.cc' -not -name '*_test.cc' -not -name '*_fuzz.cc' -print0 | sort -z |
  xargs -0 -r -n 1 -P 2 clang-tidy-19 --quiet -p "out/$preset" 2> >(grep -v "warnings\? generated" >&2)
