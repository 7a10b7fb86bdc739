#!/bin/bash
# Build the RPM into build/rpm, and print its path: of what is committed, or of an unpacked sdist. Its release is the
# number of the build. usage: tools/rpm.sh
set -euo pipefail
cd "$(dirname "$0")/.."

version=$(sed -n 's/^version = //p' setup.cfg)
number=$(tools/build_number.sh)
release=0${number:+.$number}
name=salt-klp-$version
top=$PWD/build/rpm
log=$PWD/build/log/rpm.log
mkdir -p "$top/SOURCES" build/log
if [ -f build-number ]; then
    tar --transform "s,^\.,$name,S" --exclude=./build --exclude=./dist -czf "$top/SOURCES/$name.tar.gz" .
else
    git archive --prefix="$name/" -o "$top/SOURCES/$name.tar.gz" HEAD
fi
# The database of this machine's packages is not asked: it may not be that of an RPM system.
rpmbuild -bb --quiet --nodeps --define "_topdir $top" --define "_dbpath $top/db" --define "klp_release $release" \
    --target noarch install/salt-klp.spec >"$log" 2>&1 || { cat "$log" >&2; exit 1; }
echo "$top/RPMS/noarch/$name-$release.noarch.rpm"
