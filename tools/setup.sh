#!/bin/sh
# Installs what is missing of the packages that building (`build`) and testing (`test`) need. Instant when nothing is.
# Usage: tools/setup.sh build|test...
set -eu

build="gcc make pkg-config liblua5.4-dev lua5.4 liblmdb-dev libuv1-dev libcurl4-openssl-dev libcurl4 libssl3t64|libssl3 libpcre2-8-0 libreadline8|libreadline8t64 tzdata"
test="lua-busted lua-check lua-dkjson nodejs openssl"
optional="valgrind strace clang"

wanted=
extras=
for set in "$@"; do
  case $set in
    build) wanted="$wanted $build" ;;
    test) wanted="$wanted $test"; extras=$optional ;;
    *) echo "setup: no such set of packages: $set (build, test)" >&2; exit 2 ;;
  esac
done

if ! command -v dpkg-query >/dev/null 2>&1 || ! command -v apt-get >/dev/null 2>&1; then
  # Elsewhere the reader installs them; what is there already is found by trying to use it.
  if command -v lua5.4 >/dev/null 2>&1 && command -v pkg-config >/dev/null 2>&1 && pkg-config --exists lmdb libuv libcurl; then exit 0; fi
  echo "setup: this is not Debian or Ubuntu; please install what these Debian packages hold, then run make again:" >&2
  echo "  $wanted (useful for some tests: $extras)" | tr -s ' ' >&2
  exit 1
fi

installed=" $(dpkg-query -W -f='${db:Status-Abbrev}${Package}\n' 2>/dev/null | sed -n 's/^ii *//p' | tr '\n' ' ') "
is_known() { apt-cache show "$1" >/dev/null 2>&1; }

# Of each choice (a|b) that has nothing installed, the choice.
missing_of() {
  missing=
  for choice in $1; do
    found=
    rest=$choice
    while [ -n "$rest" ]; do
      case $installed in *" ${rest%%|*} "*) found=yes ;; esac
      case $rest in *"|"*) rest=${rest#*|} ;; *) rest= ;; esac
    done
    if [ -z "$found" ]; then missing="$missing $choice"; fi
  done
  echo "$missing"
}

required=$(missing_of "$wanted")
if [ -z "$required" ]; then exit 0; fi

as_root=
if [ "$(id -u)" != 0 ]; then
  if ! command -v sudo >/dev/null 2>&1; then
    echo "setup: missing:$required; install them as root (there is no sudo here), then run make again" >&2
    exit 1
  fi
  as_root="sudo"
fi

echo "setup: installing$required" >&2
$as_root apt-get update -q >&2
packages=
for choice in $required $(missing_of "$extras"); do
  picked=
  for package in $(echo "$choice" | tr '|' ' '); do
    if [ -z "$picked" ] && is_known "$package"; then picked=$package; fi
  done
  case " $extras " in
    *" $choice "*) packages="$packages $picked" ;;
    *) packages="$packages ${picked:-${choice%%|*}}" ;;
  esac
done
# shellcheck disable=SC2086
$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $packages >&2
