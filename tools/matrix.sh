#!/bin/bash
# Run the tests on every Salt series with every Python that it runs on, and print one line for each: passed, failed, or
# absent with the reason. Exits with 1 if one has failed.
# usage: tools/matrix.sh [CELL...]          a cell is an environment: 3007, 3007-3.12, 3007-3.9 or oldest
#
# A series on the Python that most tests use has all of them. On its other Pythons, what depends on Python: the unit tests,
# a whole run with zypper, and a fleet on a real master. On the oldest Pythons only minions run: the life of a host.
# Salt 3006.8 has the ways in: as SUSE's 3006.0 it serves no links that lead out of a file root.
# Python 3.8 is absent: what Salt is built with there is no longer made for it.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 2

cells=("$@")
[ ${#cells[@]} -gt 0 ] || cells=(3006 3006.8 3007 3008 {3006,3007,3008}-{3.10,3.12,3.13} {3006,3007,3008}-3.9 oldest)
mkdir -p build/log
rows=() failed=0

targets() {
    case "$1" in
        oldest | *-3.9) echo "minion" ;;
        3006.8) echo "test-functional" ;;
        *-*) echo "test-unit test-functional test-integration" ;;
        *) echo "test-unit test-simulation test-functional test-integration" ;;
    esac
}

run() {
    local cell=$1 target=$2 args=()
    case "$target:$cell" in
        minion:oldest) make --no-print-directory test-minions MINIONS=oldest; return ;;
        minion:*) make --no-print-directory setup SALT="$cell" && make --no-print-directory test-minions MINIONS="$cell"; return ;;
        *:3006.8) args=(FUNCTIONAL=tests/functional/test_ways_in.py PYTEST_ARGS="-q -rs --show-capture=no -p no:hypothesispytest") ;;
        *:*-*) args=(FUNCTIONAL=tests/functional/test_patch.py INTEGRATION=tests/integration/test_fleet.py) ;;
    esac
    make --no-print-directory "$target" SALT="$cell" PYTEST_ARGS="-q -rs --show-capture=no" "${args[@]}"
}

row() { rows+=("$(printf '%-10s %-17s %-7s %5s s  %s' "$@")"); echo "== ${rows[-1]}"; }

for cell in "${cells[@]}"; do
    if [ "$cell" != oldest ] && ! tools/find_python.sh "$cell" >/dev/null; then
        row "$cell" all absent 0 "no Python ${cell#*-} with venv and headers is installed here"
        continue
    fi
    for target in $(targets "$cell"); do
        log=build/log/matrix-$cell-$target.log
        begun=$SECONDS
        echo "== $cell $target: see $log"
        if run "$cell" "$target" >"$log" 2>&1 </dev/null; then word=passed; else word=failed failed=1; fi
        row "$cell" "$target" $word $((SECONDS - begun)) "$(grep -E '^[=]* ?[0-9]+ (passed|failed|skipped|error)' "$log" | tail -n 1 | tr -d =)"
        grep '^SKIPPED' "$log" | sort -u | sed 's/^/   /'
    done
done

echo
printf '%s\n' "${rows[@]}"
exit $failed
