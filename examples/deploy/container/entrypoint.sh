#!/bin/sh
# clusterd-entrypoint scheduler|worker: runs that daemon with /etc/clusterd/<it>.toml.
#
# Where a platform gives secrets as variables and not as files (Amazon ECS), they become files in
# /run/clusterd/secrets, which is where the configuration names them then, and leave the environment:
#   CLUSTERD_FILE_<NAME>   the content of the file <name>, with `_` for each `.`: CLUSTERD_FILE_CA_PEM
#   CLUSTERD_CONFIG        the configuration itself
set -eu

mode="${1:-}"
case "$mode" in
  scheduler | worker) shift ;;
  *) exec clusterd "$@" ;;
esac

umask 077
config="/etc/clusterd/$mode.toml"
secrets=/run/clusterd/secrets
for name in $(env | sed -n 's/^CLUSTERD_FILE_\([A-Z0-9_]*\)=.*/\1/p'); do
  mkdir -p "$secrets"
  file="$(echo "$name" | tr 'A-Z_' 'a-z.')"
  printenv "CLUSTERD_FILE_$name" > "$secrets/$file"
  unset "CLUSTERD_FILE_$name"
done
if [ -n "${CLUSTERD_CONFIG:-}" ]; then
  mkdir -p "$secrets"
  config="$secrets/$mode.toml"
  printf '%s\n' "$CLUSTERD_CONFIG" > "$config"
  unset CLUSTERD_CONFIG
fi
umask 022
exec clusterd "$mode" --config "$config" "$@"
