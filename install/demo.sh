#!/usr/bin/env bash
# Ambit on one bare Debian 12 machine, as root: installs what is missing, builds the release preset,
# makes two nodes as network namespaces and shows, command by command, what a label does to a pod.
#
#   install/demo.sh                         runs the demo and leaves nothing behind
#   install/demo.sh --keep                  leaves it up afterwards and says how to look around
#   install/demo.sh --in WHERE [COMMAND]    runs a command, or a shell, in what --keep left up;
#                                           WHERE: client, server, plain, node-a, node-b or lab
#   install/demo.sh --down                  takes down what --keep left up
#   install/demo.sh --help                  prints this
#
# Exit status: 0 every line holds, 1 one does not, 2 wrong usage, 130 after Ctrl-C.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
pid_file=$root/out/demo.pid
[ -e /proc/self/fd/0 ] || exec </dev/null

fail() {  # status, sentence
  echo "install/demo.sh: $2" >&2
  exit "$1"
}

need_root() {
  [ "$(id -u)" -eq 0 ] ||
    fail 1 "this needs root: it installs packages and makes network namespaces; run it with sudo"
}

no_more_arguments() {
  [ $# -eq 0 ] || fail 2 "'$1' is one argument too many; see --help"
}

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
  if [ -n "$pid" ]; then
    kill -TERM "$pid"
    tail --pid="$pid" -s 0.1 -f /dev/null
  fi
  rm -f "$pid_file"
  [ -n "$pid" ] && echo "taken down" || echo "nothing is up"
}

run_inside() {
  local pid where=${1:-}
  pid=$(kept_pid)
  [ -n "$pid" ] || fail 1 "nothing is up; start it with install/demo.sh --keep"
  case "$where" in
    client | server | plain | node-a | node-b | lab) shift ;;
    *) fail 2 "--in '$where': WHERE is one of client, server, plain, node-a, node-b, lab" ;;
  esac
  local enter=(nsenter -t "$pid" -m -p -n --root --wd --)
  [ "$where" = lab ] || enter+=(nsenter "--net=/run/netns/$where" --)
  [ $# -gt 0 ] || set -- bash
  exec "${enter[@]}" "$@"
}

stop_group() {  # process group, signal, exit status
  trap '' INT TERM HUP
  kill -TERM -- "-$1" 2>/dev/null || true
  wait
  fail "$3" "stopped by SIG$2"
}

# Runs a command as a process group of its own, which ends with this script, however that is ended.
run_group() {
  set -m
  "$@" </dev/null &
  local group=$!
  set +m
  trap 'stop_group $group INT 130' INT
  trap 'stop_group $group TERM 143' TERM
  trap 'stop_group $group HUP 129' HUP
  wait "$group"
  trap - INT TERM HUP
}

build() {
  echo "1/3  Debian packages and cnitool"
  run_group "$root/install/deps.sh" all
  echo "2/3  the four programs, into out/release/bin (the long part, the first time)"
  cd "$root"
  run_group cmake --preset release >/dev/null
  run_group cmake --build --preset release -j "$(nproc)" \
    --target ambit-cni ambit-agent ztunnel-lite ambit-control
}

show() {  # the options of demo.py
  need_root
  if [ -n "$(kept_pid)" ]; then
    [ $# -eq 0 ] || fail 1 "a demo is up already: install/demo.sh --down"
  fi
  build
  echo "3/3  the demo"
  AMBIT_BIN_DIR=$root/out/release/bin exec python3 -B "$root/install/demo.py" "$@"
}

case "${1:-}" in
  "") show ;;
  --keep)
    no_more_arguments "${@:2}"
    show --keep
    ;;
  --in)
    need_root
    run_inside "${@:2}"
    ;;
  --down)
    no_more_arguments "${@:2}"
    need_root
    tear_down
    ;;
  --help | -h) sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}" ;;
  *) fail 2 "'$1' is not an option; see --help" ;;
esac
