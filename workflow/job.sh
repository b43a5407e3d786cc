#!/usr/bin/env bash
# job.sh RESULT LOG RECORDS COMMAND...: run a command that writes RESULT.part, and leave its records in the folder RECORDS.
#
# Records are written beside the result first, and take their places one by one when all is well. After a failure they
# stay where they are, what came of the result is in `failed`, and the last lines of the log are shown.
set -uo pipefail
result=$1 log=$2 records=$3
shift 3
out=$(dirname "$result")
name=$(basename "$result")
fresh=$out/fresh/${name%.*}
rm -rf "$fresh"
mkdir -p "$fresh" "$out/failed" "$(dirname "$log")"
if RECORDS_TO=$fresh bash -o pipefail -c "$*" > "$log" 2>&1; then
  (cd "$fresh" && find . -name '*.json' -not -name machine.json) | while read -r file; do
    mkdir -p "$records/$(dirname "$file")"
    mv -f "$fresh/$file" "$records/$file"
    cp -n "$fresh/$(dirname "$file")/machine.json" "$records/$(dirname "$file")/"  # a title may have been chosen
  done
  rm -rf "$fresh"
  mv "$result.part" "$result"
else
  [ -e "$result.part" ] && mv -f "$result.part" "$out/failed/$name"
  tail -n 5 "$log" >&2
  exit 1
fi
