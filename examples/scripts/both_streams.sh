#!/usr/bin/env bash
# Writes to standard output and standard error in turn; a follower sees the true order.
for i in 1 2 3; do
  echo "out $i"
  echo "err $i" >&2
done
