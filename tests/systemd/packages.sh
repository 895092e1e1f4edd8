#!/bin/bash
# packages.sh [TEST...] - builds the Debian packages twice, checks them, and installs, upgrades and purges them in a real
# systemd with packages_inside.sh. Ends with `N passed, N failed, N skipped`. With names, runs only these tests of
# packages_inside.sh in the lab. Environment: PACKAGES_BUILD, the directory for the packages; SYSTEMD_LAB, the script
# that boots a throw-away systemd, by default in ../shared. Without it, or without root, the tests in the lab are skipped
# by name.
# shellcheck disable=SC2317 # check and the traps call the functions
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
here=tests/systemd
build=${PACKAGES_BUILD:?names the directory for the packages}
lab=${SYSTEMD_LAB:-../shared/systemd-lab.sh}
make=${MAKE:-make}
packages='fcached libfcache0 libfcache-dev python3-fcached'
passed=0 failed=0 skipped=0
version=$(sed -n 's/^VERSION := //p' Makefile)
old=$build/old again=$build/the-second-build-in-a-longer-path new=$build/new

finish() {
  echo "$passed passed, $failed failed, $skipped skipped"
  [ "$failed" = 0 ]
  exit
}
ok() {
  echo "ok    $1"
  passed=$((passed + 1))
}
fail() { # fail NAME [FILE]
  echo "FAIL  $1"
  [ -z "${2:-}" ] || tail -n 40 "$2" | sed 's/^/      /'
  failed=$((failed + 1))
}
skip() {
  echo "  skip  $1"
  skipped=$((skipped + 1))
}
check() { # check NAME COMMAND...
  local name=$1 start=$SECONDS
  shift
  if "$@" >"$tmp/out" 2>&1; then ok "$name ($((SECONDS - start)) s)"; else fail "$name" "$tmp/out"; fi
}

tmp=$(mktemp -d)
started=
building=
end() {
  [ -z "$building" ] || kill "$building" 2>/dev/null
  [ -z "$started" ] || "$lab" stop >/dev/null 2>&1
  rm -rf "$tmp"
}
trap end EXIT
trap 'exit 130' INT TERM HUP

# ---- two builds, and what checkers say

build_old() { $make -s deb DEB="$old"; }
# Another directory, umask, time zone, locale and number of jobs.
build_again() {
  (
    umask 027
    TZ=Pacific/Kiritimati LC_ALL=C.UTF-8 $make -s deb DEB="$again" DEB_OPTIONS=-j3
  )
} >"$tmp/again.log" 2>&1
build_again_ended() { wait "$building" || { cat "$tmp/again.log" && return 1; }; }
equal() {
  local deb
  for deb in "$old"/*.deb; do cmp "$deb" "$again/${deb##*/}" || return; done
}
# The next version.
build_new() { $make -s deb DEB="$new" VERSION="$version.1" DEB_OBJECTS="$old/fcached-$version/build"; }
lintian_is_silent() { lintian --fail-on error,warning --tag-display-limit 0 "$old"/*.changes; }
# `ld -r` makes no program.
is_hardened() { blhc --all --ignore-line '.* -r -nostdlib .*' "$old/build.log"; }
# A build library of the Makefile is one of the packages too.
declares_all_libraries() {
  local name
  sed -n "/^build='/,/'$/p" tests/packages.sh | grep -oE 'lib[a-z0-9-]+-dev' | grep -v libc6-dev | sort >"$tmp/wanted"
  [ -s "$tmp/wanted" ] || return
  sed -n '/^Build-Depends/,/^Standards/p' systemd/debian/control >"$tmp/declared"
  while read -r name; do
    grep -w -- "$name" "$tmp/declared" || { echo "systemd/debian/control lacks $name"; return 1; }
  done <"$tmp/wanted"
}
# The tarball of an unpacked tarball is the same, whatever the umask and the times.
tarball_is_reproducible() {
  export SOURCE_DATE_EPOCH=1000000000
  systemd/dist.sh "$tmp/first.tar.gz" x
  (umask 077 && tar -C "$tmp" -xmzf "$tmp/first.tar.gz")
  "$tmp/x/systemd/dist.sh" "$tmp/second.tar.gz" x
  unset SOURCE_DATE_EPOCH
  cmp "$tmp/first.tar.gz" "$tmp/second.tar.gz"
}

mkdir -p "$build"
check 'packages build' build_old
[ "$failed" = 0 ] || finish
# Both at the same time: debhelper uses one processor.
[ $# != 0 ] || {
  build_again &
  building=$!
}
check 'packages of a higher version build' build_new
if [ $# = 0 ]; then
  check 'packages build in another directory and environment' build_again_ended
  building=
  check 'packages of both builds are equal' equal
  check 'lintian finds no error and no warning' lintian_is_silent
  check 'blhc finds all hardening flags' is_hardened
  check 'build dependencies have all libraries of tests/packages.sh' declares_all_libraries
  check 'source tarball is reproducible, with git and without' tarball_is_reproducible
fi

# ---- in the lab

skip_all() { # skip_all REASON
  echo "skipped, because $1:"
  while read -r name; do skip "$name"; done < <("$here/packages_inside.sh" --list)
  finish
}
[ "$(id -u)" = 0 ] || skip_all 'booting a systemd needs root'
[ -x "$lab" ] || skip_all "there is no $lab (SYSTEMD_LAB= names another)"

# The lab has no network, so the dependencies are installed before it boots.
needed() {
  local deb
  for deb in $packages; do
    dpkg-deb -f "$old/${deb}_"*.deb Depends
  done | tr ',' '\n' | sed -E 's/^ *//; s/[ |:(].*//' | sort -u | grep -vE "^($(echo "$packages" | tr ' ' '|')|)$"
  echo logrotate
  printf '%s\n' gcc libc6-dev pkg-config                # debian/tests/control
  printf '%s\n' sudo adduser curl libpam-systemd        # commands_of_the_pages_do_what_they_show
}
arguments=()
for name in $(needed); do arguments+=(--pkg "$name"); done
for generation in old new; do
  mkdir -p "$tmp/root/root/$generation"
  for name in $packages; do cp "${!generation}/${name}_"*.deb "$tmp/root/root/$generation/"; done
done
cp -r "$here/packages_inside.sh" "$here/lab_functions.sh" "$here/load.py" systemd/debian/tests "$tmp/root/root/"
mkdir -p "$tmp/root/root/pages/tests"
cp -r docs "$tmp/root/root/pages/"
cp -r tests/docs "$tmp/root/root/pages/tests/"
start=$SECONDS
if ! "$lab" start --copy "$tmp/root:/" "${arguments[@]}" >"$tmp/lab.log" 2>&1; then
  fail 'booting the lab' "$tmp/lab.log"
  finish
fi
started=yes
echo "booted the lab in $((SECONDS - start)) s"
export LAB_CMD_TIMEOUT=${LAB_CMD_TIMEOUT:-600}
"$lab" exec -- /bin/bash /root/packages_inside.sh "$@" >"$tmp/out" 2>"$tmp/err"
status=$?
cat "$tmp/out"
passed=$((passed + $(grep -c '^ok ' "$tmp/out")))
failed=$((failed + $(grep -c '^FAIL ' "$tmp/out")))
skipped=$((skipped + $(grep -c '^  skip ' "$tmp/out")))
expected=$#
[ $# != 0 ] || expected=$("$here/packages_inside.sh" --list | wc -l)
[ "$(grep -cE '^(ok|FAIL|  skip) ' "$tmp/out")" = "$expected" ] ||
  fail "the tests in the lab ended early (status $status)" "$tmp/err"
finish
