#!/usr/bin/env bash
# From a bare Debian 12 to a finished job: installs what is missing, builds clusterd, starts a
# scheduler and a worker on loopback, runs examples/scripts/count.sh through the HTTP API, follows
# its output, prints how it ended and stops everything. Run it as often as you like.
# With CLUSTERD=PROGRAM it builds nothing, and takes that one.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

say() { printf '\n== %s\n' "$*"; }

# Everything that this run makes: logs, database, output of jobs.
folder="$(mktemp -d /tmp/clusterd-quickstart.XXXXXX)"
daemons=()
clean_up() {
  local pid
  for pid in "${daemons[@]}"; do kill "$pid" 2> /dev/null || true; done
  for pid in "${daemons[@]}"; do wait "$pid" 2> /dev/null || true; done
  rm -rf "$folder"
}
trap clean_up EXIT

clusterd="${CLUSTERD:-}"
if [[ -z "$clusterd" ]]; then
  say "packages"
  bash tests/install_packages.sh program
  echo "all there"

  # The same sources in another folder are the same to ccache, where it is installed.
  export CCACHE_BASEDIR="$PWD" CCACHE_NOHASHDIR=1

  say "build (the first time takes some minutes)"
  cmake --preset release -DCLUSTERD_TESTS=OFF > "$folder/configure.log" 2>&1 \
    || { cat "$folder/configure.log"; exit 1; }
  cmake --build --preset release --target clusterd
  clusterd="$PWD/build/release/clusterd"
fi
"$clusterd" --version

# start NAME: runs a daemon until the end of this script; returns when it listens.
start() {
  local name="$1"
  "$clusterd" "$name" --config "$folder/$name.toml" --port-file "$folder/$name.ports" \
    2> "$folder/$name.log" &
  daemons+=("$!")
  until [[ -s "$folder/$name.ports" ]]; do
    if ! kill -0 "$!" 2> /dev/null; then
      echo "the $name did not start:" >&2
      cat "$folder/$name.log" >&2
      exit 1
    fi
    sleep 0.05
  done
  sed "s/^/$name: /" "$folder/$name.ports"
}
port_of() { sed -n "s/^$2=//p" "$folder/$1.ports"; }

# field NAME: the first string or number of that name in the JSON on standard input.
field() { grep -oE "\"$1\": *(\"[^\"]*\"|[0-9]+)" | head -n 1 | sed -E 's/^[^:]*: *"?//; s/"$//'; }

say "a scheduler and a worker"
cat > "$folder/scheduler.toml" << TOML
[grpc_server]
addr = "127.0.0.1:0"
[http_server]
addr = "127.0.0.1:0"
[store]
path = "$folder/clusterd.db"
TOML
start scheduler
# A worker refuses scripts that others may write, as they are after some ways of unpacking.
cp -r examples/scripts "$folder/scripts"
chmod -R go-w "$folder/scripts"
cat > "$folder/worker.toml" << TOML
[grpc_server]
addr = "127.0.0.1:0"
[scheduler]
addr = "$(port_of scheduler grpc)"
[worker]
name = "quickstart"
on_stop = "stop"
[jobs]
scripts_dir = "$folder/scripts"
data_dir = "$folder/data"
runtime_dir = "$folder/run"
TOML
start worker
api="http://$(port_of scheduler http)/v1"

say "curl $api/jobs -d '{\"path\": \"count.sh\", \"command\": \"bash\", \"args\": [\"5\", \"0.2\"]}'"
job="$(curl -sS --fail-with-body "$api/jobs" -H 'Content-Type: application/json' \
  -d '{"path": "count.sh", "command": "bash", "args": ["5", "0.2"]}')"
job_id="$(field job_id <<< "$job")"
echo "accepted: $job_id"

say "curl $api/jobs/$job_id/output?follow=true"
curl -sSN --fail-with-body "$api/jobs/$job_id/output?follow=true"

say "curl $api/jobs/$job_id/wait?timeout=30s"
job="$(curl -sS --fail-with-body "$api/jobs/$job_id/wait?timeout=30s")"
state="$(field state <<< "$job")"
exit_code="$(field exit_code <<< "$job")"
echo "ended: $state, exit code ${exit_code:-unknown}"

say "stopping the worker and the scheduler"
clean_up
daemons=()
trap - EXIT
echo "done"
[[ "$state" == SUCCEEDED && "$exit_code" == 0 ]]
