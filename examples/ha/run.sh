#!/usr/bin/env bash
# Three members of etcd, three schedulers and two workers on this machine's loopback: a cluster that
# goes on when its leader dies. Runs until Ctrl-C and removes everything it has made.
# With --demo: starts a job, kills the leader while the job runs, and ends when the job has.
# CLUSTERD=PROGRAM is the clusterd to run; etcd takes six ports from BASE_PORT (23790) on.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

clusterd="${CLUSTERD:-clusterd}"
base_port="${BASE_PORT:-23790}"
folder="$(mktemp -d /tmp/clusterd-ha.XXXXXX)"
declare -A pids=()

say() { printf '\n== %s\n' "$*"; }

clean_up() {
  trap - EXIT INT TERM
  local name
  # Workers first, then schedulers, then what these write to.
  for name in w1 w2 s1 s2 s3 e1 e2 e3; do
    [[ -n "${pids[$name]:-}" ]] || continue
    kill "${pids[$name]}" 2> /dev/null || true
    wait "${pids[$name]}" 2> /dev/null || true
  done
  rm -rf "$folder"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

# start NAME MODE: a daemon of clusterd; returns when it listens.
start() {
  "$clusterd" "$2" --config "$folder/$1.toml" --port-file "$folder/$1.ports" 2> "$folder/$1.log" &
  pids[$1]=$!
  until [[ -s "$folder/$1.ports" ]]; do
    if ! kill -0 "${pids[$1]}" 2> /dev/null; then
      echo "$1 did not start:" >&2
      cat "$folder/$1.log" >&2
      exit 1
    fi
    sleep 0.05
  done
}
port_of() { sed -n "s/^$2=//p" "$folder/$1.ports"; }

say "three members of etcd"
peers="" endpoints=""
for i in 1 2 3; do
  peers+="${peers:+,}e$i=http://127.0.0.1:$((base_port + 2 * i - 1))"
  endpoints+="${endpoints:+, }\"127.0.0.1:$((base_port + 2 * i - 2))\""
done
for i in 1 2 3; do
  client="http://127.0.0.1:$((base_port + 2 * i - 2))"
  peer="http://127.0.0.1:$((base_port + 2 * i - 1))"
  etcd --name "e$i" --data-dir "$folder/e$i" --listen-client-urls "$client" \
    --advertise-client-urls "$client" --listen-peer-urls "$peer" \
    --initial-advertise-peer-urls "$peer" --initial-cluster "$peers" \
    --initial-cluster-state new --logger zap --log-level error 2> "$folder/e$i.log" &
  pids[e$i]=$!
done

say "three schedulers"
for i in 1 2 3; do
  cat > "$folder/s$i.toml" << TOML
[grpc_server]
addr = "127.0.0.1:0"
[http_server]
addr = "127.0.0.1:0"
[store]
backend = "etcd"
endpoints = [$endpoints]
lease_ttl = "2s"
TOML
  start "s$i" scheduler
  echo "s$i: gRPC $(port_of "s$i" grpc), HTTP http://$(port_of "s$i" http)"
done
addresses="$(port_of s1 grpc),$(port_of s2 grpc),$(port_of s3 grpc)"
export CLUSTERD_ADDR="$addresses"

say "two workers"
# A worker refuses scripts that others may write, as they are after some ways of unpacking.
cp -r examples/scripts "$folder/scripts"
chmod -R go-w "$folder/scripts"
for i in 1 2; do
  cat > "$folder/w$i.toml" << TOML
[grpc_server]
addr = "127.0.0.1:0"
[scheduler]
addr = ["${addresses//,/\", \"}"]
[worker]
name = "w$i"
on_stop = "stop"
[jobs]
scripts_dir = "$folder/scripts"
data_dir = "$folder/w$i"
runtime_dir = "$folder/run$i"
TOML
  start "w$i" worker
  echo "w$i: $(port_of "w$i" grpc)"
done

# The name of the scheduler that leads, once there is one; fails where there is none in a minute.
leader() {
  local i j address until=$((SECONDS + 60))
  while ((SECONDS < until)); do
    for i in 1 2 3; do
      kill -0 "${pids[e$i]}" 2> /dev/null || { cat "$folder/e$i.log" >&2; return 1; }
    done
    for i in 1 2 3; do
      address="$(curl -sS --max-time 2 "http://$(port_of "s$i" http)/v1/cluster" 2> /dev/null \
        | grep -oE '"leader": *"[^"]+"' | sed -E 's/.*"([^"]+)"$/\1/')" || continue
      for j in 1 2 3; do
        if [[ "$address" == "$(port_of "s$j" grpc)" ]]; then
          echo "s$j"
          return
        fi
      done
    done
    sleep 0.1
  done
  echo "no scheduler leads" >&2
  return 1
}
first="$(leader)"
say "$first leads; any of them takes calls"
echo "export CLUSTERD_ADDR=$addresses"

if [[ "${1:-}" != --demo ]]; then
  echo "Ctrl-C ends it. To see another one take over: kill -9 ${pids[$first]}"
  wait
fi

say "a job, and the death of the leader while it runs"
# The attached run goes on over the failover: it prints every line once.
"$clusterd" run --command bash count.sh 20 0.2 > "$folder/output" &
run=$!
until [[ -s "$folder/output" ]]; do sleep 0.05; done
old="$(leader)"
kill -9 "${pids[$old]}"
echo "$old is dead"
wait "$run"
cat "$folder/output"
new="$(leader)"
say "$new leads; the job has ended"
[[ "$new" != "$old" && "$(tail -n 1 "$folder/output")" == "line 20 of 20" ]]
