#!/bin/bash
# Print the path of a Python that can make the environment NAME (3006, 3007, 3008, lint or docs; 3006-3.12 is Salt 3006
# on that Python and no other); exit 1 if there is none.
# usage: tools/find_python.sh NAME          PYTHON=/path/to/python is tried first, then PATH, then what pyenv has.
set -euo pipefail

case "${1:?usage: find_python.sh 3006|3006.8|3007|3008|lint|docs}" in
    300[678]-3.*) versions=${1#*-} ;;
    3006 | 3006.8) versions="3.11 3.10" ;;
    3007 | 3008 | lint | docs) versions="3.11 3.12 3.13 3.10" ;;
    *) echo "find_python.sh: unknown environment: $1" >&2; exit 2 ;;
esac

# A name on PATH proves little (version managers leave stubs; Debian has python3 without venv): ask the program.
# Salt 3008 needs timelib, which is compiled where it is installed: there the headers of Python have to be.
answer() {
    "$1" - "$2" "$3" <<'PY' 2>/dev/null
import os, sys, sysconfig, venv, ensurepip
headers = os.path.exists(os.path.join(sysconfig.get_paths()["include"], "Python.h"))
if "%d.%d" % sys.version_info[:2] == sys.argv[1] and (headers or sys.argv[2] in ("lint", "docs")):
    print(sys.executable)
PY
}

for version in $versions; do
    for name in ${PYTHON:+"$PYTHON"} "python$version" python3 ~/.pyenv/versions/"$version".*/bin/python; do
        path=$(answer "$name" "$version" "$1") || continue
        if [ -n "$path" ]; then
            echo "$path"
            exit 0
        fi
    done
done
exit 1
