#!/bin/bash
# unit_mutants.sh - runs the unit tests $FCACHE_BUILD/tests/storm/unit_mutant_*, each of which is linked with a mutant of
# the daemon (FC_CATALOG_MUTANT). Passes if each of them fails. Prints the count as Check does.
set -uo pipefail
n=0 failed=0
for program in "$FCACHE_BUILD"/tests/storm/unit_mutant_*; do
  [ -x "$program" ] || continue
  n=$((n + 1))
  log=$("$program" 2>&1)
  status=$?
  # Tests that fail, and not a program that does not start.
  if [ $status = 0 ] || ! grep -qE '^[0-9]+%: Checks: [1-9][0-9]*, ' <<<"$log"; then
    failed=$((failed + 1))
    printf '%s\nthe mutant passes, or its tests do not run (status %d): %s\n' "$log" $status "$program"
  fi
done
echo "$(((n - failed) * 100 / (n ? n : 1)))%: Checks: $n, Failures: $failed, Errors: 0"
[ $n != 0 ] && [ $failed = 0 ]
