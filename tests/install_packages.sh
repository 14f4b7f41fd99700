#!/usr/bin/env bash
# Installs what is missing of tests/packages.txt:  tests/install_packages.sh program|test|full|bench …
# Quick, and without a word, when nothing is missing.
set -euo pipefail

list="$(dirname "${BASH_SOURCE[0]}")/packages.txt"

wanted=()
for group in "$@"; do
  while read -r word package; do
    if [[ "$word" == "$group" ]]; then wanted+=("$package"); fi
  done < "$list"
done

if ! command -v dpkg-query > /dev/null || ! command -v apt-get > /dev/null; then
  echo "install_packages: this is no Debian; taking for granted: ${wanted[*]}" >&2
  exit 0
fi

declare -A installed=()
while read -r status package; do
  if [[ "$status" == ii ]]; then installed[$package]=1; fi
done < <(dpkg-query -W -f '${db:Status-Abbrev} ${Package}\n')
missing=()
for package in "${wanted[@]}"; do
  if [[ -z "${installed[$package]:-}" ]]; then missing+=("$package"); fi
done
if (( ${#missing[@]} == 0 )); then exit 0; fi

if (( EUID != 0 )); then
  echo "install_packages: missing packages, and only root can install them. Run:" >&2
  echo "  apt-get update && apt-get install -y --no-install-recommends ${missing[*]}" >&2
  exit 1
fi
echo "installing: ${missing[*]}" >&2
# Programs are wanted, not services: what asks this file whether it may start is told no.
policy=/usr/sbin/policy-rc.d
if [[ ! -e "$policy" ]]; then
  trap 'rm -f "$policy"' EXIT
  printf '#!/bin/sh\nexit 101\n' > "$policy"
  chmod 755 "$policy"
fi
export DEBIAN_FRONTEND=noninteractive
options=(-q -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 -o Dpkg::Use-Pty=0)
apt-get "${options[@]}" update >&2
apt-get "${options[@]}" install -y --no-install-recommends "${missing[@]}" >&2
