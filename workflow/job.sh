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
# Where nothing can be written in the end, nothing is measured.
for place in "$out" "$records" "$(dirname "$log")"; do
  if ! { mkdir -p "$place" && head -c 1048576 /dev/urandom > "$place/.tried.$$" && rm "$place/.tried.$$"; }; then
    rm -f "$place/.tried.$$"
    echo "$place: nothing can be written there" >&2
    exit 1
  fi
done
mkdir -p "$fresh" "$out/failed"
# Records that did not reach their place are no later run's to delete.
[ -z "$(find "$fresh" -name '*.json' -print -quit)" ] || mv "$fresh" "$out/failed/${name%.*}.records.$(date +%s).$$"
rm -rf "$fresh"
mkdir -p "$fresh"
if RECORDS_TO=$fresh bash -o pipefail -c "$*" > "$log" 2>&1; then
  # Each is copied beside its place and to the disk first: whoever reads finds the old record or the new one.
  while IFS= read -r -d '' file; do
    to=$records/$(dirname "$file") machine=$(dirname "$file")/machine.json
    if ! { mkdir -p "$to" && cp "$fresh/$file" "$to/.new.$$" && sync && mv -f "$to/.new.$$" "$records/$file" &&
      { [ -e "$records/$machine" ] || cp "$fresh/$machine" "$to/"; }; }; then  # a title may have been chosen
      rm -f "$to/.new.$$"
      echo "$records: not written; what was measured is in $fresh" | tee -a "$log" >&2
      exit 1
    fi
  done < <(cd "$fresh" && find . -name '*.json' -not -name machine.json -print0)
  sync
  mv "$result.part" "$result" && rm -rf "$fresh"
else
  [ -e "$result.part" ] && mv -f "$result.part" "$out/failed/$name"
  tail -n 5 "$log" >&2
  exit 1
fi
