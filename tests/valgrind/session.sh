#!/bin/bash
# session.sh - one session of a daemon under valgrind: a client that uses every call, fcachectl's
# commands, bytes that are no protocol, SIGHUP, and a clean stop. Nothing found by valgrind in any of
# the processes, and all of them exit as they should. Prints a count in Check's form.
# Environment: FCACHED, FCACHECTL, FCACHE_SESSION (the client program).
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
tmp=$(mktemp -d /tmp/session.XXXXXX) # not in $TMPDIR, which may be long: a socket is below it
daemon=
end() {
  [ -z "$daemon" ] || kill -KILL "$daemon" 2>/dev/null
  rm -rf "$tmp"
}
trap end EXIT
checks=0 failures=0
check() { # check TEXT STATUS: counts; a status that is not 0 is a failure
  checks=$((checks + 1))
  [ "$2" = 0 ] && return
  failures=$((failures + 1))
  echo "session: $1 (status $2)"
}
export FCACHE_SOCKET=$tmp/s.sock FCACHE_NAMESPACE=valgrind
unset XDG_RUNTIME_DIR FCACHE_DISABLE NOTIFY_SOCKET LISTEN_FDS LISTEN_PID

tests/valgrind/wrap.sh "$FCACHED" --socket "$FCACHE_SOCKET" --trace "$tmp/log/trace.jsonl" \
  >"$tmp/daemon.log" 2>&1 &
daemon=$!
for _ in $(seq 300); do
  "$FCACHECTL" ping >/dev/null 2>&1 && break
  kill -0 "$daemon" 2>/dev/null || break
  sleep 0.1
done
"$FCACHECTL" ping >/dev/null
check 'the daemon does not serve' $?
tests/valgrind/wrap.sh "$FCACHE_SESSION"
check 'the client of the session' $?
for c in ping stats 'stats --json' list 'trace status' "trace on $tmp/log/other.jsonl" 'trace off' \
  'clear --namespace valgrind'; do
  # shellcheck disable=SC2086 # a command and its arguments
  tests/valgrind/wrap.sh "$FCACHECTL" $c >"$tmp/ctl.log" 2>&1
  status=$?
  [ $status = 0 ] || cat "$tmp/ctl.log"
  check "fcachectl $c" $status
done
kill -HUP "$daemon"
"$FCACHECTL" ping >/dev/null
check 'the daemon after bytes that are no protocol, and SIGHUP' $?
kill -TERM "$daemon"
wait "$daemon"
check 'the daemon: a finding, or an unclean stop' $?
daemon=
[ "$failures" = 0 ] || cat "$tmp/daemon.log"
echo "$(((checks - failures) * 100 / checks))%: Checks: $checks, Failures: $failures, Errors: 0"
[ "$failures" = 0 ]
