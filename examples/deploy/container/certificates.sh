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
"$clusterd" tls init --dir tls --cluster compose --scheduler scheduler --client admin \
  --host scheduler --host localhost --host 127.0.0.1 > /dev/null
rm tls/worker.pem tls/worker.key
for worker in worker-1 worker-2; do
  "$clusterd" tls issue worker --dir tls --name "$worker" --host "$worker" --out "tls/$worker" > /dev/null
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
echo "for the command line: CLUSTERD_ADDR=localhost:50000 CLUSTERD_CA=$PWD/tls/ca.pem \\"
echo "  CLUSTERD_CERT=$PWD/tls/client.pem CLUSTERD_KEY=$PWD/tls/client.key"
