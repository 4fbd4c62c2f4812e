#!/usr/bin/env bash
# Ambit on one bare Debian 12 machine: installs what is missing, builds the release preset, makes
# two nodes as namespaces, and shows line by line what a label does to a pod.
#
#   install/demo.sh            runs the demo and leaves nothing behind
#   install/demo.sh --keep     leaves it up afterwards and says how to look around
#   install/demo.sh --in WHERE COMMAND...   runs a command in a pod or node that --keep left
#   install/demo.sh --down     tears down what --keep left
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
pid_file=$root/out/demo.pid
[ -e /proc/self/fd/0 ] || exec </dev/null

# The pid of a demo that --keep left up, nothing if there is none.
kept_pid() {
  local pid
  pid=$(cat "$pid_file" 2>/dev/null) || return 0
  if tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | grep -q 'install/demo\.py'; then
    echo "$pid"
  fi
}

tear_down() {
  local pid
  pid=$(kept_pid)
  rm -f "$pid_file"
  if [ -z "$pid" ]; then
    echo "nothing is up"
    return
  fi
  kill -TERM "$pid"
  tail --pid="$pid" -f /dev/null
  echo "torn down"
}

run_inside() {
  local pid where=${1:?--in needs a pod or node: client, server, plain, node-a, node-b, lab}
  shift
  pid=$(kept_pid)
  [ -n "$pid" ] || { echo "nothing is up: install/demo.sh --keep" >&2; exit 1; }
  local enter=(nsenter -t "$pid" -m -p -n --)
  [ "$where" = lab ] || enter+=(nsenter "--net=/run/netns/$where" --)
  exec "${enter[@]}" "$@"
}

build() {
  "$root/install/deps.sh" all
  echo "building the release preset (out/release) ..." >&2
  cd "$root"
  cmake --preset release >/dev/null
  cmake --build --preset release -j "$(nproc)" --target ambit-cni ambit-agent ztunnel-lite ambit-control
}

case "${1:-}" in
  "" | --keep)
    if [ "${1:-}" = --keep ] && [ -n "$(kept_pid)" ]; then
      echo "a demo is up already: install/demo.sh --down" >&2
      exit 1
    fi
    build
    AMBIT_BIN_DIR=$root/out/release/bin exec python3 -B "$root/install/demo.py" "$@"
    ;;
  --in)
    shift
    run_inside "$@"
    ;;
  --down) tear_down ;;
  *)
    sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}"
    [ "$1" = --help ] && exit 0 || exit 2
    ;;
esac
