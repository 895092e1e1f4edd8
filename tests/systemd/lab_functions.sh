#!/bin/bash
# lab_functions.sh - the functions that inside.sh and packages_inside.sh share. Both read it from their own directory.

show() { systemctl show -P "$1" fcached.service; }
within() { # within SECONDS COMMAND...: until it succeeds
  local end=$((SECONDS + $1))
  shift
  until "$@" >/dev/null 2>&1; do
    [ "$SECONDS" -lt "$end" ] || {
      echo "not within the time: $*"
      return 1
    }
    sleep 0.1
  done
}
equals() { # equals WANTED GOT COMMAND...: which printed GOT
  [ "$2" = "$1" ] || {
    echo "${*:3}: wanted '$1', got '$2'"
    return 1
  }
}
is() { # is WANTED COMMAND...: the command succeeds and prints that
  local got
  got=$("${@:2}")
  equals "$1" "$got" "${@:2}"
}
prints() { # prints WANTED COMMAND...: whatever its status. is-active and is-enabled say no by their status too.
  local got
  got=$("${@:2}") || true
  equals "$1" "$got" "${@:2}"
}

failures=0
# run_test NAME [LINES]: in a shell of its own under `set -e`. Counts it in `failures`, and prints the last LINES lines
# of its output, by default all, if it fails. Never call it in a condition, which would disable -e inside.
run_test() {
  local status
  SINCE=$(date '+%F %T')
  export SINCE
  (
    set -e
    "$1"
  ) >/tmp/out 2>&1
  status=$?
  if [ $status = 0 ]; then
    echo "ok    ${1//_/ }"
  else
    failures=$((failures + 1))
    echo "FAIL  ${1//_/ } (status $status)"
    tail -n "${2:-+1}" /tmp/out | sed 's/^/      /'
    journalctl -q --no-pager -o cat -u fcached.service -u fcached.socket --since "$SINCE" |
      tail -n 15 | sed 's/^/      | /'
  fi
}
