#!/bin/sh
# run_one.sh FOLDER SECONDS FUZZER - runs FOLDER/fuzz_FUZZER that long, from its corpus and its seeds.
# Says how much it tried, or shows the end of its log; a finding's input stays in FOLDER.
set -eu
folder=$1 seconds=$2 fuzzer=$3
log=$folder/$fuzzer.log
"$folder/fuzz_$fuzzer" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=1024 -max_len=4096 \
  -print_final_stats=1 -artifact_prefix="$folder/$fuzzer-" "$folder/corpus/$fuzzer" \
  "$folder/seed/$fuzzer" >"$log" 2>&1 || {
  tail -n 60 "$log"
  exit 1
}
sed -n "s/^stat::number_of_executed_units: */fuzz: $fuzzer, $seconds s, no finding, inputs: /p" "$log"
