#!/bin/sh
# Rehearses the measurements on a GPU (bench/gpu.py) on the emulated device, on a bare system (tests/bare.sh).
# bench/gpu.py runs the bundle of bench/bundle.sh; one of its runs comes back in pieces and goes on on the
# CPU; the packages of bench/packages.sh, if they are in .deps/, configure and build the program. Takes about
# nine minutes on two slow cores.
set -eu
cd "$(dirname "$0")/.."
rm -rf .gpu/bin .gpu/runs .gpu/out .gpu/joined
status=0
timeout 450 bench/gpu.py --device emulated --out .gpu/out --total 420 --case-limit 20 || status=$?
for file in results.jsonl results.md log.txt bench.json index.json runs.000; do
  [ -s ".gpu/out/$file" ] || { echo "rehearsal: expected .gpu/out/$file" >&2; exit 1; }
done
[ "$status" = 0 ] || { cat .gpu/out/log.txt; exit 1; }
python3 - <<'CHECK'
import json
lines = [json.loads(line) for line in open(".gpu/out/results.jsonl")]
def count(stage, status): return sum(line["stage"] == stage and line["status"] == status for line in lines)
assert count("large", "passed") >= 2, "no large shape was reached"
assert count("tests", "passed") >= 2, "no case passed"
assert count("train", "done") == 3, "not every row of the table took a step"
assert json.load(open(".gpu/out/bench.json"))["rows"], "no row of the bench"
CHECK
bench/gpu.py join .gpu/out --runs .gpu/joined
run=.gpu/joined/dcgan-cifar10
step=$(ls "$run/checkpoints" | sed -n 's/^step-0*\([0-9]*\)\.safetensors$/\1/p' | sort -n | tail -1)
.gpu/bin/dae train "$run/recipe.toml" --out "$run" --resume --device cpu --set train.graph=false --set dtype=f32 \
  --set train.steps=$((step + 2))
echo "rehearsal: a run of $step steps went on to $((step + 2)) on the CPU"
if ls .deps/*.deb >/dev/null 2>&1; then
  eval "$(bench/packages.sh unpack)"
  cmake -G Ninja -B build-bare -DCMAKE_BUILD_TYPE=Release -DDAE_CUDA=OFF
  ninja -C build-bare readme_example  # kernels, data and engine; the rest would take minutes more
  build-bare/readme_example
  echo "rehearsal: built from .deps/ and trained"
fi
