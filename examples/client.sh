#!/usr/bin/env bash
# A client with curl alone:  client.sh SCRIPT [ARGUMENT …]
# Starts a script with bash on any worker, prints its output while it runs, exits with its code.
# CLUSTERD_URL says where the HTTP API is, CLUSTERD_TOKEN who we are, where that is asked.
set -euo pipefail
url="${CLUSTERD_URL:-http://127.0.0.1:3000}/v1/jobs"

call() {
  curl -sS --retry 5 --retry-connrefused -H @- "$@" \
    <<< "${CLUSTERD_TOKEN:+Authorization: Bearer $CLUSTERD_TOKEN}"
}
# The first string or number of that name in the JSON on standard input.
field() { grep -oE "\"$1\": *(\"[^\"]*\"|[0-9]+)" | head -n 1 | sed -E 's/^[^:]*: *"?//; s/"$//'; }
quoted() { sed -e 's/[\\"]/\\&/g' -e 's/^/"/' -e 's/$/"/' <<< "$1"; }

arguments=''
for argument in "${@:2}"; do
  arguments+="${arguments:+, }$(quoted "$argument")"
done
# With its key, a start that is repeated because the answer was lost starts nothing twice.
answer="$(call --fail-with-body "$url" -H "Idempotency-Key: $(cat /proc/sys/kernel/random/uuid)" \
  -d "{\"path\": $(quoted "$1"), \"command\": \"bash\", \"args\": [$arguments]}")" \
  || { echo "$answer" >&2; exit 64; }
job_id="$(field job_id <<< "$answer")"
echo "job $job_id" >&2

# Where the connection is cut, the output goes on at its offset; what is refused (22) stays so.
output="$(mktemp)"
trap 'rm -f "$output"' EXIT
code=1
while (( code != 0 )); do
  call --fail -N "$url/$job_id/output?follow=true&offset=$(stat -c %s "$output")" \
    > >(tee -a "$output") && code=0 || code=$?
  wait "$!"  # for tee
  if (( code == 22 )); then exit 70; fi
  if (( code != 0 )); then sleep 1; fi
done

until answer="$(call --fail "$url/$job_id/wait?timeout=30s")" && grep -q '"end"' <<< "$answer"; do
  sleep 1
done
field state <<< "$answer" >&2
code="$(field exit_code <<< "$answer")"
exit "${code:-125}"  # unknown is never success
