#!/bin/sh
# Checks the choice of CUDA. Without a GPU, `make` leaves out the CUDA kernels and says so in one line.
# CUDA=ON compiles them, as `make test` does, and `make` in the same folder then keeps them.
set -eu
unset MAKEFLAGS MFLAGS MAKEOVERRIDES  # set by a make that runs the tests
cd "$(dirname "$0")/.."
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
printf '#!/bin/sh\necho "Cuda compilation tools, release 13.0, V13.0.0"\n' > "$folder/nvcc"
printf '#!/bin/sh\nexit 9\n' > "$folder/nvidia-smi"
chmod +x "$folder/nvcc" "$folder/nvidia-smi"
configure() {  # PATH's first folder, arguments of make
  PATH="$1:$PATH" make --no-print-directory configure BUILD="$folder/build" ${2:-} 2>&1
}
fail() { echo "cuda_choice: $*" >&2; exit 1; }
configure "$folder" > "$folder/log"
[ "$(grep -c 'no GPU answers.*the CUDA kernels are left out' "$folder/log")" = 1 ] || fail "no line says that nvcc is left out"
! grep -q 'kernels_cuda' "$folder/build/build.ninja" || fail "make compiles for CUDA without a GPU"
make -n test BUILD="$folder/build" | grep -q -- '-DDAE_CUDA=ON' || fail "make test does not ask for CUDA"
make -n test BUILD="$folder/build" CUDA=OFF | grep -q -- '-DDAE_CUDA=OFF' || fail "make test CUDA=OFF asks for it"
command -v nvcc >/dev/null || [ -x /usr/local/cuda/bin/nvcc ] || { echo "nvcc not found: the rest is skipped"; exit 0; }
rm -rf "$folder/build" "$folder/nvcc"
configure "$folder" CUDA=ON > "$folder/log"
grep -q 'kernels_cuda' "$folder/build/build.ninja" || fail "CUDA=ON does not compile for CUDA"
configure "$folder" > "$folder/log"
grep -q 'kernels_cuda' "$folder/build/build.ninja" || fail "make after make test leaves CUDA out again"
configure "$folder" CUDA=OFF > "$folder/log"
! grep -q 'kernels_cuda' "$folder/build/build.ninja" || fail "CUDA=OFF has no effect in a folder that had it"
echo "passed"
