#!/bin/sh
# on_gpu.sh COMMAND...: runs the command if there is a GPU and the command is found. Otherwise says what is
# missing and exits 77, which ctest counts as skipped.
nvidia-smi -L >/dev/null 2>&1 || { echo "skipped: no CUDA device"; exit 77; }
command -v "$1" >/dev/null || { echo "skipped: $1 not found"; exit 77; }
exec "$@"
