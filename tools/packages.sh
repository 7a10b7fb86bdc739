#!/bin/bash
# Install the missing system packages for the environment NAME (3006, 3007, 3008, lint or docs), and only those;
# NAME is system for what the virtual machine of the system tests needs on top, browser for those of the report's page.
# usage: tools/packages.sh NAME
set -euo pipefail
cd "$(dirname "$0")/.."

name=${1:?usage: packages.sh 3006|3007|3008|lint|docs|system|browser}
# The hosts of the tests: a real zypper with real repositories, in namespaces, with a busybox as their userland;
# the compiler makes the small library that gives such a host its own kernel release.
lab="zypper rpm createrepo-c libzypp-config lsof busybox-static gcc libc6-dev make git iproute2 util-linux procps
    openssh-server openssh-client grub-common"
[ "$name" = lint ] && lab="git make rpm rpmlint"
[ "$name" = docs ] && lab=""
# The emulator with its firmware; what root file system, disk images and initrd are made with; what modules of
# Debian's kernel are built with, whose headers are only unpacked.
[ "$name" = system ] && lab="qemu-system-x86 qemu-utils seabios ipxe-qemu mmdebstrap btrfs-progs kmod cpio
    busybox-static gcc make binutils bc libelf-dev"

[ "$name" = browser ] && lab="chromium chromium-driver fonts-dejavu-core"

has_python() { [ "$name" = system ] || [ "$name" = browser ] || tools/find_python.sh "$name" >/dev/null; }

if ! command -v dpkg-query >/dev/null; then
    echo "This is not a Debian system. Install by hand what these Debian packages hold: $lab" >&2
    has_python || { echo "A Python with venv for $name is missing as well." >&2; exit 1; }
    exit 0
fi

missing=()
for package in $lab; do
    status=$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null) || status=absent
    [ "$status" = installed ] || missing+=("$package")
done
if ! has_python; then
    missing+=(python3 python3-venv)
    [ "$name" = lint ] || [ "$name" = docs ] || missing+=(libpython3-dev)
fi
# The guest's kernel is not installed but fetched: apt has to know it.
unknown_kernel() { [ "$name" = system ] && ! apt-cache show linux-image-cloud-amd64 >/dev/null 2>&1; }
[ ${#missing[@]} -eq 0 ] && ! unknown_kernel && exit 0

if [ "$(id -u)" -ne 0 ]; then
    echo "As root: apt-get update && apt-get install --no-install-recommends ${missing[*]}" >&2
    exit 1
fi
echo "== Installing Debian packages that are missing here: ${missing[*]:-none, but apt has no package lists}"
mkdir -p build/log
log=build/log/packages.log
export DEBIAN_FRONTEND=noninteractive
if ! { apt-get update && apt-get install -y --no-install-recommends "${missing[@]}"; } >"$log" 2>&1 </dev/null; then
    tail -n 20 "$log" >&2
    echo "apt-get failed; all of what it said is in $log" >&2
    exit 1
fi
