#!/usr/bin/env bash
# Prints numbered lines:  count.sh [HOW-MANY] [SECONDS-BETWEEN-THEM]
set -eu
lines="${1:-10}"
pause="${2:-0}"
for (( i = 1; i <= lines; i++ )); do
  echo "line $i of $lines"
  if [[ "$pause" != 0 && "$i" -lt "$lines" ]]; then sleep "$pause"; fi
done
