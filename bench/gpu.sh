#!/bin/sh
# Everything that a machine with a GPU is for, in one call, on a fresh one: nvcc, cmake, ninja and PyTorch are there,
# package registries are not. Debian packages that are missing (headers, oneDNN) lie as .deb files in .deps/ and are
# unpacked there. Builds, runs all tests, those on the GPU and compute-sanitizer's among them, then dae bench and the
# peers; each stage goes on after one that failed, and the last lines say which did. Results go to $OUT:
#   OUT=out bench/gpu.sh [FILTER] [SECONDS A ROW]      STAGES="build tests bench peers" BUILD=build PYTHON=python3
# tests.log, bench.json, bench.md, torch.json, machine.txt. Options of the build: CMAKE_FLAGS, for
# instance -DDAE_CUBLAS=ON -DDAE_CUDNN=ON. DEVICE=emulated tries the script where there is no GPU, with dae-emulated.
set -u
cd "$(dirname "$0")/.." || exit 1
filter=${1:-}
seconds=${2:-0.2}
build=${BUILD:-build}
python=${PYTHON:-python3}
stages=${STAGES:-build tests bench peers}
out=${OUT:?set OUT to the folder for results}
mkdir -p "$out"
failed=""
stage() {  # name, command...: runs it if it was asked for
  name=$1
  shift
  case " $stages " in *" $name "*) ;; *) return 0 ;; esac
  echo "== $name ($(date +%T)): $*"
  "$@" || failed="$failed $name"
}

if ls .deps/*.deb >/dev/null 2>&1; then
  for package in .deps/*.deb; do dpkg -x "$package" .deps/root; done
  root=$PWD/.deps/root/usr
  libraries=$root/lib/$(uname -m)-linux-gnu
  export CPATH="$root/include${CPATH:+:$CPATH}" CMAKE_PREFIX_PATH="$root"
  export LIBRARY_PATH="$libraries" LD_LIBRARY_PATH="$libraries${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
fi
if [ "${DEVICE:-cuda}" = emulated ]; then dae=$build/dae-emulated; else dae=$build/dae; fi
{ nvidia-smi 2>&1; nvcc --version 2>&1; git rev-parse HEAD; } > "$out/machine.txt"

configure_and_build() {
  # shellcheck disable=SC2086
  cmake -G Ninja -B "$build" -DCMAKE_BUILD_TYPE=Release ${CMAKE_FLAGS:-} && ninja -C "$build" dae "${TARGETS:-tests}"
}
all_tests() {
  ctest --test-dir "$build" --output-on-failure > "$out/tests.log" 2>&1
  status=$?
  tail -15 "$out/tests.log"
  return $status
}
bench() {
  "$dae" bench --device cuda --filter "$filter" --seconds "$seconds" --save "$out/bench.json" --markdown \
    > "$out/bench.md"
}
peers() {  # rows of the same names as dae's
  "$python" bench/peers.py --device cuda --dtype bf16 --filter "$filter" --seconds "$seconds" > "$out/torch.json"
}
stage build configure_and_build
stage tests all_tests
stage bench bench
stage peers peers
if [ -n "$failed" ]; then echo "failed:$failed; see $out"; exit 1; fi
echo "all of: $stages; results in $out"
