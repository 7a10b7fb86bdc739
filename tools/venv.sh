#!/bin/bash
# Make the virtual environment build/venv/NAME (3006, 3006.8, 3007, 3008, lint or docs; 3006-3.12 is Salt 3006 on that Python);
# say nothing when it is up to date.
# usage: tools/venv.sh NAME
set -euo pipefail
cd "$(dirname "$0")/.."

name=${1:?usage: venv.sh 3006|3007|3008|lint|docs}
venv=build/venv/$name
log=build/log/venv-$name.log
wanted=tools/requirements/${name%-3.*}.txt

# Up to date means: same requirements, same Python, same place, and the last installation came to its end.
key() {
    sha256sum "$wanted" tools/requirements/common.txt
    "$venv/bin/python" -c 'import sys; print(sys.version, sys.prefix)' 2>/dev/null
}

mkdir -p build/venv build/log
exec 9>"build/venv/.$name.lock"
flock --wait 1200 9
if [ -f "$venv/ready" ] && [ "$(cat "$venv/ready")" = "$(key)" ]; then
    exit 0
fi

python=$(tools/find_python.sh "$name") || { echo "No Python with venv that fits $name: run make setup" >&2; exit 1; }
if [[ $name == *-3.[89] ]]; then  # minions run on older Pythons than the tests do: only Salt has to be there
    read -ra what < <(grep '^salt' "$wanted") && what+=(PyYAML)
    plan=${what[*]}
else
    what=(-r "$wanted")
    plan=$(sed -e '/^#/d' -e '/^-r/d' "$wanted" | tr '\n' ' ')
    grep -q '^-r common.txt' "$wanted" && plan+=$(sed -e '/^#/d' tools/requirements/common.txt | tr '\n' ' ')
fi
echo "== Installing into $venv with pip and $("$python" -V) (takes a minute or two): $plan"
rm -rf "$venv"
if ! { "$python" -m venv "$venv" && "$venv/bin/python" -m pip install --no-input --disable-pip-version-check \
    "${what[@]}"; } >"$log" 2>&1 </dev/null; then
    tail -n 20 "$log" >&2
    echo "pip failed; all of what it said is in $log" >&2
    exit 1
fi
key >"$venv/ready"
tail -n 1 "$log" | tr ' ' '\n' | grep -E '^(salt|pytest|ruff|mypy|sphinx|myst_parser|furo)-[0-9]' | tr '\n' ' ' || true
echo "are installed."
