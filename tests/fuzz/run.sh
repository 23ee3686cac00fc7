#!/bin/sh
# Fuzzes the readers of files, one after another, from the corpus in this folder:
#   tests/fuzz/run.sh [SECONDS for each reader, 60] [TARGET]
# Needs clang (Debian: apt-get install clang). A crash leaves its input in build-fuzz/ and ends the run with
# an error. New inputs of interest stay in build-fuzz/corpus. `make test` runs the corpus through the readers
# without clang.
set -eu
cd "$(dirname "$0")/../.."
mkdir -p build-fuzz
for target in safetensors tensors image; do
  [ -z "${2:-}" ] || [ "$2" = "$target" ] || continue
  clang++ -std=c++20 -g -O1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined -I. -DDAE_LIBJPEG \
    "tests/fuzz/$target.cpp" data/files/*.cpp data/images/*.cpp -lfmt -lz -ljpeg -o "build-fuzz/$target"
  mkdir -p "build-fuzz/corpus/$target"
  "build-fuzz/$target" -max_total_time="${1:-60}" -timeout=10 -rss_limit_mb=3000 -max_len=20000 -print_final_stats=1 \
    -artifact_prefix="build-fuzz/$target-" "build-fuzz/corpus/$target" "tests/fuzz/corpus/$target"
done
