#!/bin/sh
# The Debian packages that the build needs, for a machine that reaches no registry.
#   bench/packages.sh fetch             here: downloads them and what they stand on into .deps/ (18 MB, ignored by git)
#   eval "$(bench/packages.sh unpack)"  there: unpacks them into .deps/root, installs nothing, and sets the variables
#                                       by which cmake, g++ and programs find them; then: cmake -G Ninja -B build ...
set -eu
cd "$(dirname "$0")/.."
packages="libfmt-dev libfmt9 nlohmann-json3-dev zlib1g-dev zlib1g libcli11-dev libtomlplusplus-dev libtomlplusplus3
libstb-dev libstb0 doctest-dev liblapack-dev liblapack3 libblas-dev libblas3 libgfortran5 libquadmath0 libdnnl-dev libdnnl2
ocl-icd-opencl-dev ocl-icd-libopencl1 opencl-c-headers libjpeg62-turbo-dev libjpeg62-turbo"
case "${1:-}" in
  fetch)
    mkdir -p .deps
    cd .deps
    rm -f ./*.deb
    # shellcheck disable=SC2086
    apt-get download -q $packages >&2 || { apt-get update -q >&2 && apt-get download -q $packages >&2; }
    du -ch ./*.deb | tail -1 >&2 ;;
  unpack)
    ls .deps/*.deb >/dev/null 2>&1 || { echo "packages: .deps/ has no .deb files; bench/packages.sh fetch, where apt is" >&2; exit 1; }
    root=$PWD/.deps/root
    rm -rf "$root"
    for package in .deps/*.deb; do dpkg -x "$package" "$root"; done
    lib=usr/lib/$(uname -m)-linux-gnu
    # Does what an installation does: the alternatives of BLAS and LAPACK, and links with absolute targets.
    for library in "$root/$lib"/blas/*.so* "$root/$lib"/lapack/*.so*; do ln -sf "$library" "$root/$lib/"; done
    find "$root" -type l | while read -r link; do
      target=$(readlink "$link")
      case "$target" in "$root"*) ;; /*) ln -sfn "$root$target" "$link" ;; esac
    done
    libraries="$root/$lib:$root/lib/$(uname -m)-linux-gnu"
    echo "export CMAKE_PREFIX_PATH='$root/usr' CPATH='$root/usr/include:$root/usr/include/$(uname -m)-linux-gnu'"
    echo "export LIBRARY_PATH='$libraries' LD_LIBRARY_PATH='$libraries'\${LD_LIBRARY_PATH:+:\$LD_LIBRARY_PATH}" ;;
  *)
    sed -n 's/^# \{0,1\}//p' "$0" | head -5 >&2
    exit 2 ;;
esac
