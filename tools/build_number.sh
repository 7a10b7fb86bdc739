#!/bin/sh
# Print the number of this build, which grows with each commit: commits, and the id of the last one, as 1234.gabc1234.
# An sdist has kept it in the file build-number. Where it is unknown, nothing is printed.
cd "$(dirname "$0")/.." || exit 1
if [ -f build-number ]; then
    cat build-number
elif [ "$(git rev-parse --show-toplevel 2>/dev/null)" = "$(pwd -P)" ] && git rev-parse -q --verify HEAD >/dev/null; then
    echo "$(git rev-list --count HEAD).g$(git rev-parse --short=8 HEAD)"
fi
exit 0
