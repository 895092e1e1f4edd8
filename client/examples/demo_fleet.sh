#!/bin/sh
# demo_fleet.sh BIN - runs three daemons with four workers each, which share all results through one
# Valkey or Redis, and compares these with the results of four workers without a daemon. BIN is the
# directory with fcached, fcachectl and demo. The server and the daemons use sockets in a private
# directory. The script stops them at its end.
#   TIER_SERVER=PROGRAM   the server (default: valkey-server or redis-server of the PATH, or that of make valkey)
#   DEMO_TEXT="a b"       the files that the model reads instead of the system's licence texts
set -eu

nodes='1 2 3'
bin=$1
tier_server=${TIER_SERVER:-$(command -v valkey-server || command -v redis-server ||
  command -v "$bin/tier/valkey-server" || command -v "$bin/tier/redis-server" || :)}
if [ -z "$tier_server" ]; then
  cat >&2 <<'TEXT'
demo-fleet: there is no valkey-server and no redis-server in the PATH. Install the Debian package
valkey-server or redis-server, run `make valkey`, or name the program: make TIER_SERVER=PROGRAM demo-fleet
TEXT
  exit 1
fi

dir=$(mktemp -d "${TMPDIR:-/tmp}/fcache-demo.XXXXXX")
daemons='' tier=''
stop() { # PID...
  for pid; do
    kill "$pid" 2>/dev/null || : # it may have ended
    wait "$pid" 2>/dev/null || :
  done
}
# shellcheck disable=SC2086 # words
trap 'stop $daemons $tier; rm -r "$dir"' EXIT
trap 'exit 130' INT TERM HUP

# until_done NAME LOG CMD... - repeats CMD until it succeeds, for ten seconds.
until_done() {
  name=$1 log=$2 tries=100
  shift 2
  until "$@" >/dev/null 2>&1; do
    tries=$((tries - 1))
    if [ $tries = 0 ]; then
      echo "demo-fleet: $name does not start. Its output:" >&2
      cat "$log" >&2
      exit 1
    fi
    sleep 0.1
  done
}

# shellcheck source=client/examples/demo_texts.sh
. "$(dirname "$0")/demo_texts.sh"

cat <<TEXT
Three nodes, each a daemon with four workers, probe a small language model over
bytes, whose text is $# files. The three nodes evaluate the same.
If workers anywhere miss a key at the same time, one computes it and the others
wait for the result, which reaches the other nodes through the tier.

\$ $(basename "$tier_server") --port 0 --unixsocket tier.sock &
TEXT
"$tier_server" --port 0 --unixsocket "$dir/tier.sock" --unixsocketperm 700 --save '' --appendonly no \
  --dir "$dir" >"$dir/tier.log" 2>&1 &
tier=$!
until_done "$tier_server" "$dir/tier.log" test -S "$dir/tier.sock"

for node in $nodes; do
  # The workers keep all processors busy, so the tier may answer late.
  echo "\$ fcached --socket node$node.sock --tier unix://\$PWD/tier.sock --tier-deadline 5 &"
  "$bin/fcached" --socket "$dir/node$node.sock" --tier "unix://$dir/tier.sock" --tier-deadline 5 \
    --trace "$dir/trace$node.jsonl" >"$dir/node$node.log" 2>&1 &
  daemons="$daemons $!"
  until_done fcached "$dir/node$node.log" "$bin/fcachectl" --socket "$dir/node$node.sock" ping -c 1
done

runs=''
export FCACHE_NAMESPACE=demo
for node in $nodes; do
  echo "\$ FCACHE_SOCKET=node$node.sock FCACHE_NAMESPACE=demo demo run out$node FILE... &"
  FCACHE_SOCKET=$dir/node$node.sock "$bin/demo" run "$dir/out$node" "$@" >"$dir/run$node.txt" &
  runs="$runs $!"
done
for run in $runs; do
  wait "$run"
done

printf '\n%s\n' '$ fcachectl --socket node1.sock tier'
"$bin/fcachectl" --socket "$dir/node1.sock" tier
# shellcheck disable=SC2086 # words
stop $daemons # which writes the rest of the traces
daemons=''

printf '\n%s\n' '$ FCACHE_DISABLE=1 demo run plain FILE...'
FCACHE_DISABLE=1 "$bin/demo" run "$dir/plain" "$@"
lines=$(cat "$dir"/trace*.jsonl | wc -l)
"$bin/demo" compare "$lines" "$dir/plain" "$dir"/out?
