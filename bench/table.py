"""What was measured, as a table, and the judgement on it: is the cost of a host the same in a large fleet?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

TOLERANCE = 1.3  # a row may be so much dearer a host in the largest fleet than in the one before
KEYS = ("seconds", "facts", "memory")
SMALL = 2.0  # seconds for the largest fleet below which nobody has to care
Results = Mapping[int, Mapping[str, Any]]  # size -> {"seconds", "facts", "memory"}, each {row: number}


def gather(parts: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return what the parts of one size measured as one."""
    found: dict[str, Any] = {"seconds": {}, "facts": {}, "memory": {}}
    for name, part in parts.items():
        found["seconds"].update(part["seconds"])
        found["facts"].update(part["facts"])
        found["memory"][name] = part["memory"]
    return found


def ratio(results: Results, row: str) -> float:
    """Return how many times as long a row takes in the largest fleet as in the one before."""
    small, large = sorted(results)[-2:]
    return results[large]["seconds"][row] / max(results[small]["seconds"][row], 1e-9)


def verdict(results: Results, row: str) -> str:
    """Return ``linear``, ``WORSE`` (than that), or ``small``: worse, but quick even with the largest fleet."""
    small, large = sorted(results)[-2:]
    if ratio(results, row) <= TOLERANCE * large / small:
        return "linear"
    return "small" if results[large]["seconds"][row] < SMALL else "WORSE"


def worse(results: Results) -> list[str]:
    """Return the rows that are worse than linear."""
    return [row for row in results[max(results)]["seconds"] if verdict(results, row) == "WORSE"]


def columns(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return lines of aligned columns, the first one at the left."""
    cells = [list(head), *map(list, rows)]
    widths = [max(len(row[number]) for row in cells) for number in range(len(head))]
    return [
        "  ".join(cell.rjust(width) if number else cell.ljust(width) for number, (cell, width) in enumerate(pairs))
        for pairs in ([*zip(row, widths, strict=True)] for row in cells)
    ]


def figure(value: float) -> str:
    """Return a number with as many digits as mean something."""
    digits = 0 if isinstance(value, int) or value >= 1000 else 1 if value >= 100 else 2 if value >= 1 else 3
    return f"{value:,.{digits}f}"


def text(results: Results) -> str:
    """Return the tables."""
    sizes = sorted(results)
    small, large = sizes[-2:]
    names = [f"{size:,}" for size in sizes]
    seconds, facts, memory = ({row: None for size in sizes for row in results[size][key]} for key in KEYS)
    judged = [
        [
            row,
            *[figure(results[size]["seconds"][row]) for size in sizes],
            f"{results[large]['seconds'][row] / large * 1e6:,.1f}",
            f"{ratio(results, row):.1f}",
            verdict(results, row),
        ]
        for row in seconds
    ]
    times = f"{large / small:g} x hosts"
    return "\n".join(
        [
            *columns(["seconds of CPU, hosts:", *names, "us per host", times, ""], judged),
            "",
            *columns(["peak memory, MB", *names], _rows(results, sizes, "memory", memory)),
            "",
            *columns(["what else was seen", *names], _rows(results, sizes, "facts", facts)),
            "",
            conclusion(results),
        ]
    )


def _rows(results: Results, sizes: Sequence[int], key: str, rows: Mapping[str, None]) -> list[list[str]]:
    return [[row, *[figure(results[size][key][row]) for size in sizes]] for row in rows]


def conclusion(results: Results) -> str:
    """Return the last sentence."""
    rows = worse(results)
    good = f"Nothing that takes {SMALL:g} s or more is worse than linear in the number of hosts."
    return f"WORSE than linear: {', '.join(rows)}" if rows else good
