#!/usr/bin/env bash
# base.sh TAR: the demo's base image as a root file system: busybox, a small C compiler and make, from Debian packages.
# The packages are only unpacked, not configured: that takes seconds and needs no root.
set -euo pipefail
tar=${1:?where to write the root file system}
mmdebstrap --quiet --format=tar --variant=extract --include=busybox-static,tcc,libc6-dev,make \
  --skip=output/dev,output/mknod \
  --extract-hook='chroot "$1" /bin/busybox --install -s /bin' \
  --extract-hook='mkdir -p "$1/root" "$1/home" "$1/proc" "$1/sys" "$1/dev" "$1/run"; chmod 700 "$1/root"' \
  --extract-hook='printf "root:x:0:0:root:/root:/bin/sh\n" >"$1/etc/passwd"; printf "root:x:0:\n" >"$1/etc/group"' \
  --extract-hook='rm -rf "$1/usr/share/doc" "$1/usr/share/man"' \
  bookworm "$tar"
