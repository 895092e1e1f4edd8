#!/bin/sh
# demo.sh BIN - runs four workers with one daemon, runs them again without it, and compares all
# results. BIN is the directory with demo and fcachectl.
#   DEMO_TEXT="a b"   the files that the model reads instead of the system's licence texts
set -eu

bin=$1
dir=$(mktemp -d "${TMPDIR:-/tmp}/fcache-demo.XXXXXX")
trap 'rm -r "$dir"' EXIT
trap 'exit 130' INT TERM HUP

# shellcheck source=client/examples/demo_texts.sh
. "$(dirname "$0")/demo_texts.sh"

cat <<TEXT
Four worker processes probe a small language model over bytes, whose text is
$# files. Its view ft also reads most of the last one. Their prompts overlap:
if several workers miss a key at the same time, one computes it and the others
wait for the result. They run with one daemon, then without.

\$ fcachectl run --trace trace.jsonl -- demo run shared FILE...
TEXT
# shellcheck disable=SC2016 # the inner shell expands them
"$bin/fcachectl" run --no-stats --trace "$dir/trace.jsonl" -- \
  sh -ec 'bin=$1 out=$2; shift 2; "$bin/demo" run "$out" "$@"
         echo; echo "\$ fcachectl stats"; "$bin/fcachectl" stats' sh "$bin" "$dir/shared" "$@"

lines=$(wc -l <"$dir/trace.jsonl")
printf '\nThe first lines of the trace, folded\n'
head -n 3 "$dir/trace.jsonl" | fold -s -w 78 | sed 's/ $//'
printf '... %s lines, one for each lookup\n\n' "$lines"

printf '%s\n' '$ FCACHE_DISABLE=1 demo run plain FILE...'
FCACHE_DISABLE=1 "$bin/demo" run "$dir/plain" "$@"
"$bin/demo" compare "$lines" "$dir/plain" "$dir/shared"
