# shellcheck shell=bash
# The jobs of tests/e2e/conformance_test.py, for workers that run scripts.
case $1 in
  echo) shift; printf '%s\n' "$@" ;;
  fail) exit 3 ;;
  tick)
    for _ in $(seq "$3"); do
      echo "tick $(date +%s.%N)" >> "$2"
      echo tick
      sleep 0.05
    done ;;
  lines) for n in $(seq "$2"); do echo "line $n"; done ;;
esac
