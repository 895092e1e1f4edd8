#!/bin/bash
# run.sh - runs test_upgrade with today's programs in $FCACHE_BUILD and those of the commit that tests/upgrade/previous
# names, which it builds from git below $FCACHE_BUILD/upgrade. Prints `N passed, N failed, N skipped`.
set -euo pipefail
cd "$(dirname "$0")/../.."
build=$FCACHE_BUILD/upgrade today=$PWD

skip() {
  echo "skipped: upgrade: $*"
  echo '0 passed, 0 failed, 1 skipped'
  exit 0
}

# layout SOURCES: prints the number of the layout of the daemon's memory.
layout() { sed -n 's/^#define CATALOG_LAYOUT \([0-9]*\)u$/\1/p' "$1/daemon/region/catalog.h"; }

# compile_client SOURCES LIBRARIES PROGRAM: a worker with that version's header and shared library.
compile_client() {
  ${CC:-cc} -std=c11 -D_GNU_SOURCE -O2 -I"$1/client/include" -I"$today" -o "$3" tests/upgrade/upgrade_client.c \
    tests/support/stamped.c -L"$2" -lfcache -Wl,-rpath,"$2"
}

commit=$(grep -v '^#' tests/upgrade/previous | tail -n 1)
[ -n "$commit" ] || skip 'tests/upgrade/previous names no commit'
git cat-file -e "$commit^{commit}" 2>/dev/null || skip "the commit $commit is not here: needs a clone with the history"

previous=$build/previous-$commit
if ! [ -e "$previous/built" ]; then
  rm -rf "$previous"
  mkdir -p "$previous"
  git archive "$commit" | tar -x -C "$previous"
  env -u MAKEFLAGS -u MAKELEVEL make -C "$previous" -j"$(nproc)" DEPS=skip BUILD=build >"$build/previous.log" 2>&1 || {
    tail -n 20 "$build/previous.log"
    echo "the daemon of $commit does not compile"
    exit 1
  }
  touch "$previous/built"
fi
compile_client "$previous" "$previous/build" "$build/client-previous"
compile_client "$today" "$FCACHE_BUILD" "$build/client-today"
export UPGRADE_PREVIOUS_DAEMON=$previous/build/fcached UPGRADE_PREVIOUS_CTL=$previous/build/fcachectl
export UPGRADE_PREVIOUS_CLIENT=$build/client-previous UPGRADE_TODAY_CLIENT=$build/client-today
export UPGRADE_TODAY_DAEMON=$FCACHE_BUILD/fcached UPGRADE_TODAY_CTL=$FCACHE_BUILD/fcachectl
export UPGRADE_OTHER_DAEMON=$build/fcached-other UPGRADE_OTHER_LAYOUT=other
UPGRADE_PREVIOUS_LAYOUT=$(layout "$previous") UPGRADE_TODAY_LAYOUT=$(layout "$today")
export UPGRADE_PREVIOUS_LAYOUT UPGRADE_TODAY_LAYOUT
unset FCACHE_SOCKET FCACHE_NAMESPACE FCACHE_DISABLE FCACHE_REGION
log=$build/test.log
status=0
CK_VERBOSITY=normal "$FCACHE_BUILD/tests/upgrade/test_upgrade" >"$log" 2>&1 || status=$?
cat "$log"
awk '/^[0-9]+%: Checks: / { gsub(",", ""); c += $3; b += $5 + $7 } END { print c - b " passed, " b + 0 " failed, 0 skipped" }' \
  "$log"
exit "$status"
