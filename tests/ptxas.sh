#!/bin/sh
# Checks the registers of the CUDA kernels. No kernel may spill registers or have a stack frame. A block of
# its launch bounds (1024 threads without bounds) must have enough registers. ptxas may give no advice (C75xx:
# wgmma serialised, setmaxnreg ignored).
#   ptxas.sh compile NVCC...      runs the command (for the build); keeps the output of ptxas, and the launch
#                                 bounds from the PTX in the object (-lineinfo), as OBJECT.ptxas
#   ptxas.sh check FOLDER         reads all that was kept there; names each kernel that fails, and by how much
#   ptxas.sh self-test            checks that each planted fault is found, and a folder without reports
set -eu
check() {
  find "$1" -name '*.ptxas' | while read -r report; do
    if [ -e "${report%.ptxas}" ]; then cat "$report"; else rm "$report"; fi  # the object was deleted, so its source is gone
  done | awk '
    function fault(text) { print text; bad++ }
    /\(C[0-9]+\)/ { sub(/^ptxas [a-z]+ *: */, ""); fault($0) }
    /Compiling entry function/ { split($0, part, "\047"); architecture = part[4]; kernels[architecture]++ }
    /Function properties for/ { name = $NF }
    /bytes stack frame/ {
      if ($1 + $5 + $9 > 0)
        fault(name " (" architecture "): " $1 " bytes of stack, " $5 " spilled, " $9 " loaded back")
    }
    match($0, /Used [0-9]+ registers/) { registers[name " (" architecture ")"] = substr($0, RSTART + 5) + 0 }
    /^launch bounds/ { threads[$3] = $4; bounds += 1 }
    END {
      if (kernels["sm_80"] == 0 || kernels["sm_80"] != kernels["sm_90a"]) {
        print "expected reports of every kernel for sm_80 and sm_90a, found " kernels["sm_80"] + 0 " and " kernels["sm_90a"] + 0
        exit 1
      }
      for (kernel in registers) {
        split(kernel, part, " ")
        most = part[1] in threads ? threads[part[1]] : 1024
        each = int((registers[kernel] + 7) / 8) * 8  # the device allocates registers in units of eight
        if (each * most > 65536) fault(kernel ": " each " registers x " most " threads; a block has 65536")
      }
      print kernels["sm_80"] " kernels for sm_80 and sm_90a, " bounds + 0 " launch bounds, " bad + 0 " faults"
      exit bad > 0
    }' > "$1/ptxas.txt" && status=0 || status=1
  if command -v c++filt >/dev/null; then c++filt -p < "$1/ptxas.txt"; else cat "$1/ptxas.txt"; fi
  return $status
}
# Prints "launch bounds KERNEL THREADS" for each kernel with bounds in the PTX of an object.
launch_bounds() {
  tr '\0' '\n' < "$1" | grep -a '^ *\.visible \.entry \|^ *\.weak \.entry \|^ *\.entry \|^ *\.maxntid ' | awk '
    /\.entry/ { sub(/.*\.entry /, ""); sub(/\(.*/, ""); name = $0 }
    /\.maxntid/ { gsub(/,/, " "); print "launch bounds", name, $2 * ($3 ? $3 : 1) * ($4 ? $4 : 1) }' | sort -u
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
    grep '^ptxas \|bytes stack frame' "$object.log" > "$object.ptxas" || true
    grep -v '^ptxas info\|bytes stack frame\|^$' "$object.log" >&2 || true
    rm "$object.log"
    [ $status != 0 ] || launch_bounds "$object" >> "$object.ptxas"
    exit $status ;;
  check) check "$2" ;;
  self-test)
    folder=$(mktemp -d)
    trap 'rm -rf "$folder"' EXIT
    ! check "$folder" || { echo "ptxas: a folder without reports passed" >&2; exit 1; }
    report() {  # arguments: stack frame, spills, registers, [launch bounds], [advice]
      for architecture in sm_80 sm_90a; do
        [ -z "${5:-}" ] || echo "ptxas info    : $5"
        echo "ptxas info    : Compiling entry function '_Z4kernv' for '$architecture'"
        echo "ptxas info    : Function properties for _Z4kernv"
        echo "    $1 bytes stack frame, $2 bytes spill stores, $2 bytes spill loads"
        echo "ptxas info    : Used $3 registers, used 1 barriers"
      done > "$folder/a.o.ptxas"
      [ -z "${4:-}" ] || echo "launch bounds _Z4kernv $4" >> "$folder/a.o.ptxas"
      touch "$folder/a.o"
    }
    passes() { report "$@"; check "$folder" || { echo "ptxas: refused: $*" >&2; exit 1; }; }
    fails() { report "$@"; ! check "$folder" || { echo "ptxas: passed: $*" >&2; exit 1; }; }
    passes 0 0 64
    passes 0 0 168 384
    passes 0 0 255 256
    fails 32 0 64
    fails 8 8 64
    fails 0 0 65
    fails 0 0 255 384
    fails 0 0 169 384
    fails 0 0 58 128 "(C7510) Potential Performance Loss: wgmma.mma_async instructions are serialized due to \
insufficient register resources for the wgmma pipeline in the function '_Z4kernv'"
    fails 0 0 58 128 "(C7508) Potential Performance Loss: 'setmaxnreg' ignored; unable to determine register count \
at entry."
    fails 0 0 58 128 "(C7517) warpgroup.wait is injected in around line 197 by compiler to allow use of registers \
defined by GMMA in function '_Z4kernv'"
    fails 0 0 58 128 "(C7519) warpgroup.arrive is injected in around line 213 by compiler to allow use of \
registers in GMMA in function '_Z4kernv'"
    # Launch bounds as they stand in an object.
    printf '.visible .entry _Z4kernv(\000.param .u64 a\000)\000.maxntid 384, 1, 1\000.minnctapersm 1\000' > "$folder/b.o"
    [ "$(launch_bounds "$folder/b.o")" = "launch bounds _Z4kernv 384" ] || { echo "ptxas: no bounds read" >&2; exit 1; } ;;
esac
