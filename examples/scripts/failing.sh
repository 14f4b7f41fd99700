#!/usr/bin/env bash
# Fails with a code of your choice:  failing.sh [EXIT-CODE]
echo "about to fail with exit code ${1:-3}"
exit "${1:-3}"
