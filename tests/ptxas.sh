#!/bin/sh
# No kernel may spill registers or have a stack frame.
#   ptxas.sh compile NVCC...      runs the command and keeps what ptxas says as OBJECT.ptxas (the build does this)
#   ptxas.sh check FOLDER         reads all that was kept there: names each kernel that spills, and how much
#   ptxas.sh self-test            the check finds planted spills, and a folder with nothing in it
set -eu
check() {
  find "$1" -name '*.ptxas' | while read -r report; do
    if [ -e "${report%.ptxas}" ]; then cat "$report"; else rm "$report"; fi  # its source is gone
  done | awk '
    /Compiling entry function/ { split($0, part, "\047"); architecture = part[4]; kernels[architecture]++ }
    /Function properties for/ { name = $NF }
    /bytes stack frame/ {
      if ($1 + $5 + $9 > 0) {
        print name " (" architecture "): " $1 " bytes of stack, " $5 " spilled, " $9 " loaded back"
        bad++
      }
    }
    END {
      if (kernels["sm_80"] == 0 || kernels["sm_80"] != kernels["sm_90a"]) {
        print "expected reports of every kernel for sm_80 and sm_90a, found " kernels["sm_80"] + 0 " and " kernels["sm_90a"] + 0
        exit 1
      }
      print kernels["sm_80"] " kernels for sm_80 and sm_90a, " bad + 0 " with a stack frame or spills"
      exit bad > 0
    }' > "$1/ptxas.txt" && status=0 || status=1
  if command -v c++filt >/dev/null; then c++filt -p < "$1/ptxas.txt"; else cat "$1/ptxas.txt"; fi
  return $status
}
case "$1" in
  compile)
    shift
    object="" previous=""
    for argument; do
      [ "$previous" = -o ] && object=$argument
      previous=$argument
    done
    if "$@" 2> "$object.log"; then status=0; else status=$?; fi
    grep '^ptxas info\|bytes stack frame' "$object.log" > "$object.ptxas" || true
    grep -v '^ptxas info\|bytes stack frame\|^$' "$object.log" >&2 || true
    rm "$object.log"
    exit $status ;;
  check) check "$2" ;;
  self-test)
    folder=$(mktemp -d)
    trap 'rm -rf "$folder"' EXIT
    ! check "$folder" || { echo "ptxas: a folder without reports passed" >&2; exit 1; }
    report() {  # stack frame, spills
      for architecture in sm_80 sm_90a; do
        echo "ptxas info    : Compiling entry function '_Z4kernv' for '$architecture'"
        echo "ptxas info    : Function properties for _Z4kernv"
        echo "    $1 bytes stack frame, $2 bytes spill stores, $2 bytes spill loads"
      done > "$folder/a.o.ptxas"
      touch "$folder/a.o"
    }
    report 0 0
    check "$folder"
    for numbers in "32 0" "8 8"; do
      report $numbers
      ! check "$folder" || { echo "ptxas: $numbers passed" >&2; exit 1; }
    done ;;
esac
