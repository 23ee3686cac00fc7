#!/bin/sh
# Times dae and PyTorch on this machine's CPU, interleaved A B A B, and prints a Markdown table. For
# development only.
#   bench/cpu.sh [FILTER] [SECONDS A ROW]        BUILD=build PYTHON=python3 THREADS=2 PEER_FLAGS=--no-compile
set -eu
filter=${1:-}
seconds=${2:-0.5}
here=$(cd "$(dirname "$0")" && pwd)
dae="$here/../${BUILD:-build}/dae"
python=${PYTHON:-python3}
threads=${THREADS:-$(nproc)}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# shellcheck disable=SC2086
for round in 1 2; do
  "$dae" bench --threads "$threads" --filter "$filter" --seconds "$seconds" --json -q > "$work/dae$round.json"
  "$python" "$here/peers.py" --threads "$threads" --filter "$filter" --seconds "$seconds" ${PEER_FLAGS:-} > "$work/torch$round.json"
done
"$python" "$here/table.py" "$work"/dae[12].json "$work"/torch[12].json
