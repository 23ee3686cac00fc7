#!/bin/sh
# Checks who may include whom. Between rooms: kernels nothing; data only kernels/device/philox.h, error.h and
# cpu/parallel.h; engine both; models also engine; train all of them; tests and bench anything. Within a room its folders
# stand in the order of the list below, and each may include those before it. Also checks that inline assembly and launches
# each stand in one place (kernels/device/intrinsics.cuh and intrinsics_wgmma.cuh; emulate/fibers.cpp changes stacks), and
# that kernels reach shared memory through checked views. With --self-test it checks that planted violations are found.
set -eu
check() {  # the root of a source tree
  cd "$1"
  bad=0
  grep -rn '^#include "' kernels data engine models train 2>/dev/null | awk -F'[:"]' '
    BEGIN { may["kernels"] = "kernels"; may["data"] = "data"; may["engine"] = "engine kernels data"
            may["models"] = "models engine kernels"; may["train"] = "train models engine kernels data"
            n = split("kernels/device kernels/emulate kernels/cpu kernels/cuda data/streams.h data/files data/images data/sets " \
                      "train/recipe train/feed train/io train/learners train/report train/evaluation train/machine " \
                      "train/run train/paper train/verbs", order, " ")
            for (i = 1; i <= n; ++i) rank[order[i]] = i
            # The emulated device is chosen by kernel.cuh, and its blocks run on the threads of cpu/.
            fine["kernels/device kernels/emulate"] = fine["kernels/emulate kernels/cpu"] = 1 }
    function folder(path) { split(path, part, "/"); return part[1] "/" part[2] }
    function rank_of(f) { return f in rank ? rank[f] : 99 }
    { split($1, from, "/"); split($4, to, "/")
      if (from[1] == "data" && ($4 ~ "^kernels/(device/philox|device/error|cpu/parallel).h$")) next
      if (index(" " may[from[1]] " ", " " to[1] " ") == 0) { print $1 ":" $2 ": " from[1] " may not include " $4; bad = 1 }
      a = folder($1); b = folder($4)
      if (from[1] == to[1] && rank_of(b) > rank_of(a) && !((a " " b) in fine)) { print $1 ":" $2 ": " a " may not include " $4; bad = 1 } }
    END { exit bad }' || bad=1
  if grep -rnE '\b(asm|__asm__)\b *(volatile|__volatile__)? *\(|<<<' --include='*.h' --include='*.cuh' --include='*.cpp' \
      --include='*.cu' kernels engine models train data tests bench 2>/dev/null |
      grep -vE '^kernels/(device/intrinsics(_wgmma)?\.cuh|emulate/fibers\.cpp):|^[^:]*:[0-9]*: *//'; then
    echo "inline assembly or a launch outside kernels/device/intrinsics.cuh"
    bad=1
  fi
  if grep -rnE '__shared__|\.(pointer|address)\(\)' --include='*.cu' kernels tests bench 2>/dev/null | grep .; then
    echo "shared memory other than through SHARED, DynamicShared and Shared"
    bad=1
  fi
  return $bad
}
if [ "${1:-}" = --self-test ]; then
  tree=$(mktemp -d)
  trap 'rm -rf "$tree"' EXIT
  mkdir -p "$tree/kernels/cpu" "$tree/data/files" "$tree/engine" "$tree/models" "$tree/train/recipe"
  for pair in kernels:engine/tensor.h data:kernels/device/device.h engine:models/vaegan.h models:train/run/loop.h \
      kernels/cpu:kernels/norm/norm.h data/files:data/sets/loader.h train/recipe:train/run/loop.h; do
    echo "#include \"${pair#*:}\"" > "$tree/${pair%%:*}/planted.h"
    if (check "$tree") >/dev/null; then echo "layers: the planted $pair was not found" >&2; exit 1; fi
    rm "$tree/${pair%%:*}/planted.h"
  done
  for line in 'asm volatile("nop;");' 'kernel<<<1, 32>>>();' '__shared__ float s[32];' 'float* p = s.pointer();'; do
    echo "$line" > "$tree/kernels/planted.cu"
    if (check "$tree") >/dev/null; then echo "layers: the planted $line was not found" >&2; exit 1; fi
    rm "$tree/kernels/planted.cu"
  done
  echo '#include "kernels/device/error.h"' > "$tree/data/files/fine.h"
  (check "$tree")
fi
(check "$(dirname "$0")/..")
