#!/bin/sh
# without_gpu.sh PROGRAM...: each, a test program for a GPU, must fail in all its test cases where CUDA finds no
# device: a case that passes there has tested nothing. Skipping is the business of on_gpu.sh.
wrong=0
for program; do
  output=$(CUDA_VISIBLE_DEVICES=-1 "$program" 2>&1) && { echo "$program: exit code 0 without a GPU"; wrong=1; }
  summary=$(echo "$output" | grep 'test cases:')
  echo "${program##*/}: $summary"
  echo "$summary" | grep -Eq '\| +0 passed \|' || { echo "$program: expected 0 test cases to pass"; wrong=1; }
done
exit $wrong
