#!/bin/bash
# The job of ten lines: bash alone, which starts nothing.
for number in 1 2 3 4 5 6 7 8 9 10; do
  echo "line $number of what a job of ten lines has to say"
done
