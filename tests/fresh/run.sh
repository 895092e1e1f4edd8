#!/bin/bash
# run.sh [CASE...] - follows the README on minimal systems with git, make and a compiler: as root on Debian 12, and as an
# ordinary user on Debian 13. Prints `N passed, N failed, N skipped`: the checks of `make check` on each system, and one
# for the rest of the case. The output of a system is in build/ci/fresh-CASE.log.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
[ $# != 0 ] || set -- bookworm trixie
logs=$PWD/build/ci
mkdir -p "$logs"
passed=0 failed=0

if [ "$(id -u)" != 0 ]; then
  echo 'skipped: fresh: needs root, to create another root file system'
  echo "0 passed, 0 failed, 1 skipped"
  exit 0
fi
tests/packages.sh fresh || exit 1

child=
trap 'trap "" INT TERM; [ -z "$child" ] || { kill "$child"; wait "$child"; }; exit 130' INT TERM

for case in "$@"; do
  script=tests/fresh/readme.sh log=$logs/fresh-$case.log start=$SECONDS
  [ "$case" != trixie ] || script=tests/fresh/newcomer.sh
  tests/fresh/root.sh "$case" . "$script" >"$log" 2>&1 </dev/null &
  child=$!
  wait "$child"
  status=$?
  child=
  read -r p f < <(awk '/^[0-9]+ passed, [0-9]+ failed/ { p += $1; f += $3 } END { print p + 0, f + 0 }' "$log")
  if [ "$status" = 0 ] && [ "$p" != 0 ]; then
    p=$((p + 1))
  else
    f=$((f + 1))
    echo "--- $case failed (status $status); its output is in $log"
    tail -n 60 "$log"
  fi
  passed=$((passed + p)) failed=$((failed + f))
  echo "$case: passed $p, failed $f, in $((SECONDS - start)) s"
done
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
