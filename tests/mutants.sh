#!/bin/sh
# mutants.sh BUILD: plants bugs in kernels, one at a time, and expects a test of a sanitized build (-DDAE_SANITIZE=ON) to
# stop at each: overruns by one, which no comparison of results shows. The sources stay as they are: the mutant is compiled
# beside them and linked in front of the library.
set -eu
build=$(cd "$1" && pwd)
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export OMP_NUM_THREADS=2 ASAN_OPTIONS=detect_leaks=0
lived=0
mutant() {  # file, line that is changed (a basic regular expression), sed command for it, test, its cases, a word of the report
  mkdir -p "$work/$(dirname "$1")"
  sed "/$2/$3" "$1" > "$work/$1"
  if cmp -s "$1" "$work/$1"; then echo "mutants: $1: no line is \"$2\" any more"; exit 1; fi
  object=CMakeFiles/kernels_emulated.dir/emulated/${1%.cu}.cpp.o
  compile=$(ninja -C "$build" -t commands "$object" | tail -1)
  link=$(ninja -C "$build" -t commands "$4" | tail -1)
  (cd "$build" && sh -c "$(echo "$compile" | sed "s#-I#-I$work -I#; s#-o $object#-o $work/mutant.o#; s#-MD ##; s#-M[TF] *[^ ]*##g")")
  (cd "$build" && sh -c "$(echo "$link" | sed "s#-o $4 #-o $work/$4 $work/mutant.o #")")
  if "$work/$4" --test-case="$5" > "$work/log" 2>&1 || ! grep -q "$6" "$work/log"; then
    echo "mutants: $1: $3 of \"$2\" lives"
    tail -5 "$work/log"
    lived=1
  else
    echo "mutants: $1: $3: $(grep -m1 "$6" "$work/log" | cut -c1-110)"
  fi
  rm -r "${work:?}/kernels"
}
overflow='AddressSanitizer: .*overflow\|runtime error: \(index\|load\|store\)'
mutant kernels/conv/naive.cu 'element >= s.n \* oh' 's/>=/>/' test_variants 'convolution*' "$overflow"
mutant kernels/loss/loss.cu 'noise\[e\] = float(given' 's/< kSize/<= kSize/' test_twin '*losses*,*random*' "$overflow"
mutant kernels/resample/resample.cu 'sum\[e\] += weight' 's/< kSize/<= kSize/' test_twin '*resampling*' "$overflow"
mutant kernels/convert/convert.cu 'first + e < n) y\[first + e\] = To' 's/< n/<= n/' test_twin 'tensors move*' "$overflow"
exit $lived
