#!/usr/bin/env bash
# Installs what is missing, builds everything under AddressSanitizer and UndefinedBehaviorSanitizer,
# and runs every test: lint, unit tests, the plugin (also as it ships), and the mesh of two nodes in
# namespaces of its own. Ends with ctest's summary and status. Needs root. Safe to run again; the
# second time only builds what changed. Extra arguments go to ctest:
#   tests/run.sh -R mesh/
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
exec </dev/null

if [ "$(id -u)" -ne 0 ]; then
  echo "tests/run.sh: this needs root: it installs packages, and tests make network namespaces" >&2
  exit 1
fi

started=$SECONDS
step() { printf '\n=== [%dm%02ds] %s\n' $(((SECONDS - started) / 60)) $(((SECONDS - started) % 60)) "$*"; }

step "what Debian packages and tools are needed"
install/deps.sh all

jobs=$(nproc)
step "build the plugin as it ships: out/release/bin/ambit-cni"
cmake --preset release >/dev/null
cmake --build --preset release -j "$jobs" --target ambit-cni

step "build everything with the sanitizers, $jobs at a time (the long part)"
cmake --preset asan >/dev/null
cmake --build --preset asan -j "$jobs"

step "each header compiles on its own"
cmake --build --preset asan -j "$jobs" --target all_verify_interface_header_sets

step "run the tests, $jobs at a time; lint, unit tests, the plugin, then the mesh"
exec ctest --preset asan --output-on-failure -j "$jobs" "$@"
