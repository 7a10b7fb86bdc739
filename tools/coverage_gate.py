"""
Judge the lines and the branches of a coverage report apart from each other.

Usage: ``python tools/coverage_gate.py REPORT.json [PERCENT]``

The limit that coverage itself knows mixes both into one number. Here the lines of all files together must
reach PERCENT (95), and the branches are shown.
"""

import json
import sys


def percent(covered, total):
    """Return a percentage; of nothing, everything is covered."""
    return 100.0 if not total else 100.0 * covered / total


def row(name, summary):
    """Return one line of the table."""
    cells = [f"{name:32}"]
    for done, total in (("covered_lines", "num_statements"), ("covered_branches", "num_branches")):
        covered, there = summary.get(done, 0), summary.get(total, 0)
        cells.append(f"{covered:5} of {there:5} {percent(covered, there):6.1f} %")
    return "   ".join(cells)


def ranges(numbers):
    """Return line numbers as short text: ``3, 5-7``."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)


def table(report):
    """Return the table of a report: one line per file, with the lines that were not run, then the total."""
    head = f"{'':32}   {'lines':>22}   {'branches':>22}"
    rows = []
    for name, entry in sorted(report["files"].items()):
        rows.append(f"{row(name, entry['summary'])}   {ranges(entry.get('missing_lines', []))}".rstrip())
    return "\n".join([head, *rows, row("TOTAL", report["totals"])])


def verdict(report, wanted):
    """Return whether enough lines are covered, and a sentence about it."""
    totals = report["totals"]
    if not totals["num_statements"]:
        return False, "Coverage: no lines were measured at all"
    reached = percent(totals["covered_lines"], totals["num_statements"])
    enough = reached >= wanted
    judged = "good" if enough else "TOO LOW"
    return enough, f"Coverage: {reached:.2f} % of the lines, at least {wanted:g} % are wanted: {judged}"


def main(argv):
    """Print the table and the verdict, return the exit code."""
    with open(argv[1], encoding="utf-8") as handle:
        report = json.load(handle)
    enough, sentence = verdict(report, float(argv[2]) if len(argv) > 2 else 95.0)
    print(table(report))
    print(sentence)
    return 0 if enough else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv))
