#!/bin/sh
# without_gpu.sh PROGRAM...: checks that each test program for a GPU fails in all its test cases if CUDA finds
# no device. A case that passes there tests nothing. Only on_gpu.sh skips tests.
wrong=0
for program; do
  output=$(CUDA_VISIBLE_DEVICES=-1 "$program" 2>&1) && { echo "$program: exit code 0 without a GPU"; wrong=1; }
  summary=$(echo "$output" | grep 'test cases:')
  echo "${program##*/}: $summary"
  echo "$summary" | grep -Eq '\| +0 passed \|' || { echo "$program: expected 0 test cases to pass"; wrong=1; }
done
exit $wrong
