#!/bin/bash
# run_tests.sh JOBS LOGDIR PROGRAM... - runs test programs, JOBS in parallel, each for $TEST_TIMEOUT_S seconds at most.
# Prints the output of those that failed, and at the end `N passed, N failed`, the sum of the counts that Check printed.
# $TEST_WRAP is a command that runs each compiled program. Exits with 1 if a test failed.
#
# TEST_RERUN=yes: up to three programs that failed run once more, alone. CI uses it, because a deadline may pass on a busy
# machine. A program that then passes counts as passed, and is printed as unstable with its first output. A finding of a
# sanitizer or of valgrind stays a failure.
set -uo pipefail
jobs=$1 logs=$2
shift 2
limit=${TEST_TIMEOUT_S:-150}
rm -rf "$logs"
mkdir -p "$logs"
export CK_VERBOSITY=${CK_VERBOSITY:-normal}
export CK_DEFAULT_TIMEOUT=${CK_DEFAULT_TIMEOUT:-60} # the default of 4 s is too short for a busy machine
# Settings of the user or of a service manager must not reach the daemons under test.
unset FCACHE_SOCKET FCACHE_NAMESPACE FCACHE_DISABLE NOTIFY_SOCKET LISTEN_FDS LISTEN_PID \
  LISTEN_FDNAMES WATCHDOG_USEC WATCHDOG_PID JOURNAL_STREAM SYSTEMD_EXEC_PID STATE_DIRECTORY LOGS_DIRECTORY
export TMPDIR=/tmp # a user's may be too long for the path of a socket
CONFIGURATION_DIRECTORY=$(cd "$logs" && pwd) # has no configuration
export CONFIGURATION_DIRECTORY
case ${INSTRUMENTED:-} in
  '') ;;
  *) export CK_TIMEOUT_MULTIPLIER=${CK_TIMEOUT_MULTIPLIER:-5} ;;
esac
export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=1:strict_string_checks=1:detect_stack_use_after_return=1}
export UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1}
export TSAN_OPTIONS=${TSAN_OPTIONS:-halt_on_error=1:second_deadlock_stack=1}

# Tests in two directories may have the same name.
name_of() { echo "$(basename "$(dirname "$1")")-$(basename "$1")"; }
export -f name_of

run_one() {
  local program=$1 logs=$2 limit=$3 name status start run=()
  name=$(name_of "$program")
  start=$(date +%s.%N)
  case $program in
    *.sh) ;;
    *.py) run=("${TEST_PYTHON:-python3}" tests/python/run.py) ;;
    *) run=(${TEST_WRAP:+"$TEST_WRAP"}) ;;
  esac
  timeout -k 5 "$limit" "${run[@]}" "$program" >"$logs/$name.log" 2>&1 </dev/null
  status=$?
  case $status in
    124 | 137) echo "$name: killed by the time limit of $limit s, or by SIGKILL" >>"$logs/$name.log" ;;
  esac
  echo "$status $(awk -v a="$start" -v b="$(date +%s.%N)" 'BEGIN { printf "%.1f", b - a }')" \
    >"$logs/$name.status"
}
export -f run_one
# xargs returns 123 if a program failed. Each program has its status in a file.
# shellcheck disable=SC2016 # the inner shell expands them
printf '%s\0' "$@" | xargs -0 -r -n 1 -P "$jobs" bash -c 'run_one "$2" "$0" "$1"' "$logs" "$limit" || true

# Prints the checks of a log and how many of them failed.
# "93%: Checks: 15, Failures: 1, Errors: 0", once for each runner of the program
count_of() {
  awk '/^[0-9]+%: Checks: / { gsub(",", ""); c += $3; b += $5 + $7 } END { print c + 0, b + 0 }' "$1"
}
show() { grep -v '^[0-9]*%: Checks' "$1" | tail -n 60; }

unstable=()
rerun() {
  local program name status took checks bad left=3
  for program in "$@"; do
    name=$(name_of "$program")
    read -r status took <"$logs/$name.status" || continue
    read -r checks bad < <(count_of "$logs/$name.log")
    [ "$status" != 0 ] || [ "$bad" != 0 ] || continue
    ! grep -qE 'Sanitizer|runtime error: |^==[0-9]+==' "$logs/$name.log" || continue
    [ $((left--)) -gt 0 ] || return 0
    echo "--- $name failed beside others (status $status, $took s), and runs again:"
    show "$logs/$name.log"
    mv "$logs/$name.log" "$logs/$name.first"
    run_one "$program" "$logs" "$limit"
    unstable+=("$name")
  done
}
[ "${TEST_RERUN:-no}" != yes ] || rerun "$@"

passed=0 failed=0
for program in "$@"; do
  name=$(name_of "$program") log=$logs/$(name_of "$program").log
  read -r status took <"$logs/$name.status" || { status=lost took=0; }
  read -r checks bad < <(count_of "$log")
  if [ "$status" != 0 ] && [ "$bad" = 0 ]; then
    # The program died or did not end, which counts as one failure.
    bad=1
    [ "$checks" -gt 0 ] || checks=1
  elif [ "$checks" = 0 ]; then
    echo "$name: printed no count of its checks" >>"$log"
    bad=1 checks=1
  fi
  passed=$((passed + checks - bad)) failed=$((failed + bad))
  if [ "$bad" != 0 ]; then
    echo "--- $name failed (status $status, $took s); its output is in $log"
    show "$log"
  fi
done
for name in "${unstable[@]}"; do
  echo "unstable: $name failed beside others; its first output is in $logs/$name.first"
done
grep -H '^skipped: ' "$logs"/*.log | sed 's:.*/\(.*\)\.log\:skipped:skipped in \1:' | sort | uniq -c
echo "slowest: $(for f in "$logs"/*.status; do
  echo "$(cut -d' ' -f2 "$f") $(basename "$f" .status)"
done | sort -rn | head -n 3 | awk '{ printf "%s%s %s s", (NR > 1) ? ", " : "", $2, $1 }')"
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
