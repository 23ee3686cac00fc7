#!/bin/sh
# Checks what each folder may include: kernels only itself; data only kernels/philox.h, error.h and parallel.h;
# engine data and kernels; models engine and kernels; train all of them; tests and bench anything. Also checks
# that inline assembly and launches each stand in one place (kernels/ptx.h and wgmma.h; emulate/fibers.cpp
# changes stacks), and that kernels reach shared memory through checked views. With --self-test it checks that
# planted violations are found.
set -eu
check() {  # the root of a source tree
  cd "$1"
  bad=0
  grep -rn '^#include "' kernels data engine models train 2>/dev/null | awk -F'[:"]' '
    BEGIN { may["kernels"] = "kernels"; may["data"] = "data"; may["engine"] = "engine kernels data"
            may["models"] = "models engine kernels"; may["train"] = "train models engine kernels data" }
    { split($1, from, "/"); split($4, to, "/")
      if (from[1] == "data" && ($4 ~ "^kernels/(philox|error|parallel).h$")) next
      if (index(" " may[from[1]] " ", " " to[1] " ") == 0) { print $1 ":" $2 ": " from[1] " may not include " $4; bad = 1 } }
    END { exit bad }' || bad=1
  if grep -rnE '\b(asm|__asm__)\b *(volatile|__volatile__)? *\(|<<<' --include='*.h' --include='*.cpp' --include='*.cu' \
      kernels engine models train data tests bench 2>/dev/null |
      grep -vE '^kernels/(ptx\.h|wgmma\.h|emulate/fibers\.cpp):|^[^:]*:[0-9]*: *//'; then
    echo "inline assembly or a launch outside kernels/ptx.h"
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
  mkdir -p "$tree/kernels" "$tree/data" "$tree/engine" "$tree/models" "$tree/train"
  for pair in kernels:engine/tensor.h data:kernels/device.h engine:models/vaegan.h models:train/loop.h; do
    echo "#include \"${pair#*:}\"" > "$tree/${pair%%:*}/planted.h"
    if (check "$tree") >/dev/null; then echo "layers: the planted $pair was not found" >&2; exit 1; fi
    rm "$tree/${pair%%:*}/planted.h"
  done
  for line in 'asm volatile("nop;");' 'kernel<<<1, 32>>>();' '__shared__ float s[32];' 'float* p = s.pointer();'; do
    echo "$line" > "$tree/kernels/planted.cu"
    if (check "$tree") >/dev/null; then echo "layers: the planted $line was not found" >&2; exit 1; fi
    rm "$tree/kernels/planted.cu"
  done
  echo '#include "kernels/error.h"' > "$tree/data/fine.h"
  (check "$tree")
fi
(check "$(dirname "$0")/..")
