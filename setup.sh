#!/bin/sh
# Installs the packages that the build needs, if some are missing and the user may install; otherwise prints
# the command that installs them. Uses no network if nothing is missing. For Debian 12; Ubuntu 24.04 has the
# same package names, but the script has not been run there.
set -eu
packages="g++ cmake ninja-build ccache pkg-config libdnnl-dev ocl-icd-opencl-dev libtomlplusplus-dev libcli11-dev nlohmann-json3-dev
libfmt-dev libstb-dev doctest-dev zlib1g-dev libjpeg-dev liblapack-dev"
[ "${1:-}" = format ] && packages="$packages clang-format"
missing=""
for package in $packages; do
  dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing="$missing $package"
done
[ -z "$missing" ] && exit 0
if [ "$(id -u)" = 0 ]; then root=""
elif sudo -n true 2>/dev/null; then root="sudo"
else
  echo "setup: missing packages:$missing; run: sudo apt-get install -y$missing" >&2
  exit 1
fi
echo "setup: installing$missing" >&2
$root apt-get update -q >&2
# shellcheck disable=SC2086
DEBIAN_FRONTEND=noninteractive $root apt-get install -y -q --no-install-recommends $missing >&2
