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
