#!/bin/bash
# run.sh - tests the units of systemd/ in a real systemd: installs into a temporary directory, boots a
# throw-away system with it, and runs inside.sh there. Ends with `N passed, N failed, N skipped`.
# Runs only the tests that are given (functions of inside.sh). Needs root and the lab script
# (SYSTEMD_LAB=, by default in ../shared). Without them it names each test that it skips and runs the
# others.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
here=tests/systemd
lab=${SYSTEMD_LAB:-../shared/systemd-lab.sh}
make=${MAKE:-make}
passed=0 failed=0 skipped=0

skip_all() { # skip_all REASON
  echo "skipped, because $1:"
  while read -r name; do
    echo "  skip  $name"
    skipped=$((skipped + 1))
  done < <("$here/inside.sh" --list)
}
finish() {
  echo "$passed passed, $failed failed, $skipped skipped"
  [ "$failed" = 0 ]
  exit
}

tmp=$(mktemp -d)
started=
# shellcheck disable=SC2317 # the trap calls it
end() {
  [ -z "$started" ] || "$lab" stop >/dev/null 2>&1
  rm -rf "$tmp"
}
trap end EXIT
trap 'exit 130' INT TERM HUP

# /usr/local is the default prefix, and systemd searches it.
if ! $make -s install PREFIX=/usr/local DESTDIR="$tmp/root" >"$tmp/install.log" 2>&1; then
  cat "$tmp/install.log"
  echo "FAIL  make install DESTDIR="
  failed=1
  finish
fi

# These tests need no booted system.
# exposure THRESHOLD TEXT: of the service as it is in the root.
exposure() {
  if ! command -v systemd-analyze >/dev/null; then
    echo "  skip  exposure of the installed service is at most $2 (no systemd-analyze here)"
    skipped=$((skipped + 1))
  elif systemd-analyze security --offline=true --threshold="$1" --no-pager --root="$tmp/root" fcached.service \
    >"$tmp/exposure" 2>&1; then
    echo "ok    exposure of the installed service is at most $2 ($(grep -oE '[0-9]+\.[0-9]+' "$tmp/exposure" | tail -n 1))"
    passed=$((passed + 1))
  else
    cat "$tmp/exposure"
    echo "FAIL  exposure of the installed service is at most $2"
    failed=$((failed + 1))
  fi
}
exposure 10 '1.0'
drop=$tmp/root/usr/local/lib/systemd/system/fcached.service.d
mkdir "$drop"
sed 's/^IPAddressAllow=.*/IPAddressAllow=10.1.2.3 127.0.0.53/' "$tmp/root/usr/local/share/fcached/systemd/tier.conf" >"$drop/tier.conf"
exposure 15 '1.5 with the drop-in for a tier'
rm -r "$drop"

if [ ! -x "$lab" ]; then
  skip_all "there is no $lab (SYSTEMD_LAB= names another)"
  finish
fi
if [ "$(id -u)" != 0 ]; then
  skip_all "booting a systemd needs root"
  finish
fi

if ! "$lab" start --bpf --copy "$tmp/root:/" --copy "$here/inside.sh:/root/inside.sh" \
  --copy "$here/lab_functions.sh:/root/lab_functions.sh" --copy "$here/hammer.py:/root/hammer.py" \
  --copy "${SURVIVOR:-build/tests/systemd/survivor}:/root/survivor" \
  --pkg libuv1 --pkg libinih1 --pkg libxxhash0 --pkg libjansson4 --pkg libsmartcols1 --pkg libmicrohttpd12 \
  --pkg libncursesw6 --pkg libhiredis0.14 --pkg libssl3 --pkg libpam-systemd --pkg redis-server \
  --setup 'ldconfig && systemd-sysusers' >"$tmp/lab.log" 2>&1; then
  cat "$tmp/lab.log"
  echo "FAIL  booting the lab"
  failed=$((failed + 1))
  finish
fi
started=yes
export LAB_CMD_TIMEOUT=${LAB_CMD_TIMEOUT:-600}
"$lab" exec -- /bin/bash /root/inside.sh "$@" >"$tmp/out" 2>"$tmp/err"
status=$?
cat "$tmp/out"
passed=$((passed + $(grep -c '^ok ' "$tmp/out")))
failed=$((failed + $(grep -c '^FAIL ' "$tmp/out")))
expected=$#
[ $# != 0 ] || expected=$("$here/inside.sh" --list | wc -l)
if [ "$(grep -cE '^(ok|FAIL) ' "$tmp/out")" != "$expected" ]; then
  cat "$tmp/err"
  echo "FAIL  the tests in the lab ended early (status $status)"
  failed=$((failed + 1))
fi
finish
