#!/usr/bin/env bash
# Builds the release binaries and measures the mesh between two nodes in namespaces of its own:
# no mesh, ztunnel-lite, and another tunnel if PEER_TUNNEL names its binary. Needs root and what
# install/deps.sh installs. About five minutes; nothing else should run meanwhile.
#   PEER_TUNNEL=/path/to/ztunnel tests/bench/run.sh --rounds 3 --json figures.json
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
cmake --preset release >/dev/null
cmake --build --preset release --target ambit-cni ambit-agent ambit-control ztunnel-lite bench-load
AMBIT_BIN_DIR="$PWD/out/release/bin" exec python3 -B tests/bench/mesh_bench.py "$@"
