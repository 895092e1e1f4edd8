#!/bin/bash
# readme.sh - runs all commands of README.md in one shell, with worker.c and worker.py from the page. Exits with 0 if each
# command succeeds and the workers print what the page shows.
# Needs a disposable machine: it installs, and writes to the home and source directories.
set -euo pipefail
cd "$(dirname "$0")/../.."
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

# The commands are the indented lines and those after "$ ". After `... &` the script waits until the daemon answers.
awk '
  function type(line) {
    print line
    if (line ~ /&$/) print "until fcachectl --socket /tmp/s ping >/dev/null 2>&1; do sleep 0.1; done"
  }
  /^```/ {
    fence = fence == "" ? substr($0, 4) " " : ""
    file = fence == "c " ? "worker.c" : fence == "python " ? "worker.py" : ""
    if (file) print "cat >" file " <<\"END OF FILE\""
    else if (was_file) print "END OF FILE"
    was_file = file != ""
    next
  }
  file { print; next }
  fence == "console " && /^\$ / { type(substr($0, 3)) }
  fence == "" && /^    / { type(substr($0, 5)) }
' README.md >"$tmp/typed"
shows='^(The capital of France|2 \+ 2 =|[0-9]+ hits, )' # other lines contain times and process ids
awk '/^```/ { fence = !fence; console = /^```console/ } fence && console' README.md | grep -E "$shows" >"$tmp/expected"

cat "$tmp/typed"
bash -euxo pipefail "$tmp/typed" | tee "$tmp/printed"
grep -E "$shows" "$tmp/printed" | diff "$tmp/expected" - && [ -s "$tmp/expected" ]
