#!/bin/bash
# Build the RPM of what is committed here into build/rpm, and print its path. usage: tools/rpm.sh
set -euo pipefail
cd "$(dirname "$0")/.."

version=$(sed -n 's/^version = //p' setup.cfg)
name=salt-klp-$version
top=$PWD/build/rpm
log=$PWD/build/log/rpm.log
mkdir -p "$top/SOURCES" build/log
git archive --prefix="$name/" -o "$top/SOURCES/$name.tar.gz" HEAD
# The database of this machine's packages is not asked: it may not be that of an RPM system.
rpmbuild -bb --quiet --nodeps --define "_topdir $top" --define "_dbpath $top/db" --define "klp_version $version" \
    --target noarch install/salt-klp.spec >"$log" 2>&1 || { cat "$log" >&2; exit 1; }
echo "$top/RPMS/noarch/$name-0.noarch.rpm"
