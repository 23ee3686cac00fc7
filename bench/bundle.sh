#!/bin/sh
# Builds dae and the test programs for a GPU (sm_80, sm_90a) and packs them, with the libraries that they need
# besides the C library, into .gpu/bundle.tar.xz (ignored by git). bench/gpu.py runs them on a machine that
# compiles nothing.
#   bench/bundle.sh                                in build-gpu, for processors with x86-64-v3 (MARCH)
#   DEVICE=emulated BUILD=build bench/bundle.sh    packs the emulated programs of BUILD, for the rehearsal
set -eu
cd "$(dirname "$0")/.."
out=${OUT:-.gpu}
tests="attention graph large low_precision twin twin_models variants vq"
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
mkdir "$stage/lib"
if [ "${DEVICE:-cuda}" = emulated ]; then
  build=${BUILD:-build}
  for program in dae dae-emulated; do strip -o "$stage/$program" "$build/$program"; done
  for name in ${TESTS:-$tests}; do strip -o "$stage/test_$name" "$build/test_$name"; done
else
  build=${BUILD:-build-gpu}
  # shellcheck disable=SC2086
  cmake -G Ninja -B "$build" -DCMAKE_BUILD_TYPE=Release -DDAE_CUDA=ON -DDAE_NATIVE=OFF \
    -DCMAKE_CXX_FLAGS="-march=${MARCH:-x86-64-v3}" ${CMAKE_FLAGS:-}
  ninja -C "$build" gpu_programs
  strip -o "$stage/dae" "$build/dae"
  for name in $tests; do strip -o "$stage/test_${name}_gpu" "$build/test_${name}_gpu"; done
fi
# The run path of the programs, $ORIGIN/lib, finds the libraries there.
find "$stage" -maxdepth 1 -type f -exec ldd {} + | awk '$2 == "=>" && $3 ~ /^\// { print $3 }' | sort -u |
  grep -v '/lib\(c\|m\|dl\|rt\|pthread\|resolv\|util\)\.so' | xargs cp -L -t "$stage/lib"
mkdir -p "$out"
# The programs are mostly alike. The window of the compression holds several of them.
tar -C "$stage" -c . | xz --threads=1 --lzma2=preset=1,dict=128MiB > "$out/bundle.tar.xz"
du -h --apparent-size "$out/bundle.tar.xz"
