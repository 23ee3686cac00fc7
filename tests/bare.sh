#!/bin/sh
# bare.sh COMMAND...: runs the command as on a machine that has only g++, cmake, ninja, python3, ccache and
# the packages that these need. It makes a mount namespace over this system, in which the files of every other
# package and of /usr/local are removed. Says why and exits 77 if that is not possible.
set -eu
if [ "${1:-}" != --inside ]; then
  for tool in unshare dpkg-query apt-cache; do
    command -v $tool >/dev/null || { echo "bare: skipped: $tool not found"; exit 77; }
  done
  options=-m
  [ "$(id -u)" = 0 ] || options=-rm
  # shellcheck disable=SC2016
  unshare $options sh -c 'd=$(mktemp -d) && mount -t tmpfs tmpfs "$d" && mkdir "$d/u" "$d/w" "$d/m" &&
    mount -t overlay overlay -o "lowerdir=/usr,upperdir=$d/u,workdir=$d/w" "$d/m"' 2>/dev/null ||
    { echo "bare: skipped: a mount namespace with an overlay is not permitted here"; exit 77; }
  exec unshare $options "$0" --inside "$@"
fi
shift
export PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C
place=$(mktemp -d)
mount -t tmpfs tmpfs "$place"
base=$(dpkg-query -W -f='${Package} ${Essential} ${Priority}\n' | awk '$2 == "yes" || $NF == "required" { print $1 }')
# shellcheck disable=SC2086
apt-cache depends --recurse --installed --no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces \
  --no-enhances g++ cmake ninja-build python3 ccache $base | sed -n 's/^\([a-z0-9][^:]*\).*/\1/p' | sort -u > "$place/kept"
dpkg-query -W -f='${Package}\n' | sort -u | comm -23 - "$place/kept" > "$place/hidden"
files_of() { xargs dpkg-query -L < "$1" 2>/dev/null | grep '^/usr/\|^/lib\|^/s*bin/' | sort -u; }
files_of "$place/kept" > "$place/files"
files_of "$place/hidden" | comm -23 - "$place/files" > "$place/gone"
mkdir "$place/upper" "$place/work"
mount -t overlay overlay -o "lowerdir=/usr,upperdir=$place/upper,workdir=$place/work" /usr
mount -t tmpfs tmpfs /usr/local
tr '\n' '\0' < "$place/gone" | xargs -0 rm -f 2>/dev/null || true  # the empty folders stay
find -L /usr/lib /usr/bin -maxdepth 2 -type l -delete              # links to files that are removed
if echo '#include <fmt/core.h>' | g++ -E -x c++ - >/dev/null 2>&1; then echo "bare: fmt is still there" >&2; exit 1; fi
exec "$@"
