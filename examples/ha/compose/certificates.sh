#!/usr/bin/env bash
# Makes what compose.yaml mounts: an authority, certificates, and an administrator's token, in `tls`
# beside this file. $CLUSTERD: the program, default `clusterd`.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

clusterd="${CLUSTERD:-clusterd}"
if [[ -e tls ]]; then
  echo "$PWD/tls is there already" >&2
  exit 1
fi
umask 077
"$clusterd" tls init --dir tls --cluster compose --client admin > /dev/null
rm tls/{scheduler,worker}.{pem,key}
for i in 1 2 3; do
  "$clusterd" tls issue scheduler --dir tls --name "scheduler-$i" --host "scheduler-$i" \
    --host localhost --host 127.0.0.1 --out "tls/scheduler-$i" > /dev/null
done
for i in 1 2; do
  "$clusterd" tls issue worker --dir tls --name "worker-$i" --host "worker-$i" \
    --out "tls/worker-$i" > /dev/null
done
token="$("$clusterd" token create --file tls/tokens --role admin admin)"
# The containers' user, 10001, reads them; the authority's key is for nobody there.
if (( EUID == 0 )); then
  chown 10001 tls tls/*.pem tls/*.key tls/tokens
  chown root tls/ca.key
else
  echo "not root: other users of this machine can read these keys too" >&2
  chmod 0755 tls
  chmod 0644 tls/*
  chmod 0600 tls/ca.key
fi
echo "token for http: $token"
echo "for the command line: CLUSTERD_ADDR=localhost:50001,localhost:50002,localhost:50003 \\"
echo "  CLUSTERD_CA=$PWD/tls/ca.pem CLUSTERD_CERT=$PWD/tls/client.pem CLUSTERD_KEY=$PWD/tls/client.key"
