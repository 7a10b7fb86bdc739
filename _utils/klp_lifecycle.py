"""
The window in which SUSE makes live patches for a kernel: lifecycle data, read and judged. Pure functions.

Lines are ``name,version,date[,successor]``. A name is literal, a glob (``*``) or ``/a regular expression/`` that may
match anywhere; a version is a glob against ``version-release``; a date may be empty. A later line goes over an earlier
one. Source: the reader of zypper-lifecycle; ``tests/data/lifecycle``.
"""

import datetime
import re

NO_LINE = "the lifecycle data have no line for this kernel yet"
YEAR = 365  # days that live patches are made for a kernel, by SUSE's rule
LONGEST = 200  # characters of a regular expression
REPEATS = 6  # repetitions in it; a group must not be repeated
FORMATS = ("%Y-%m-%d", "%Y/%m/%d", "%Y%m%d", "%d.%m.%Y", "%d %b %Y", "%b %d %Y", "%d %B %Y", "%B %d %Y")


def read(text, source):
    """
    Read the text of one lifecycle file.

    source
        name of the file, for what is said about its lines.

    Returns ``(lines, unknown)``: ``[{"name", "version", "date" (datetime.date or None), "successor" (or None),
    "source" (FILE:LINE)}]`` in the order of the file, and one sentence for each unrecognised line. Such a
    line is among the lines with ``damaged``, the reason, if it says of which packages it is.
    """
    lines, unknown = [], []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        where = f"{source}:{number}"
        try:
            lines.append(dict(_line(line), source=where))
        except ValueError as exc:
            unknown.append(f"{where}: {exc}")
            lines += _damaged(line, where, exc)
    return lines, unknown


def _damaged(line, where, exc):
    name = line.split(",", 1)[0].strip()
    try:
        _matcher(name)
    except ValueError:
        return []
    found = {"name": name, "version": "*", "date": None, "successor": None, "source": where, "damaged": str(exc)}
    return [found] if name and "," in line else []


def _line(line):
    fields = [field.strip() for field in line.split(",")]
    if not 3 <= len(fields) <= 4 or not fields[0]:
        raise ValueError(f"not name,version,date[,successor]: {line.strip()[:120]!r}")
    _matcher(fields[0])
    return {
        "name": fields[0],
        "version": fields[1] or "*",
        "date": _date(fields[2]) if fields[2] else None,
        "successor": fields[3] if len(fields) == 4 and fields[3] else None,
    }


def _date(text):
    for form in FORMATS:
        try:
            return datetime.datetime.strptime(text.split("T")[0], form).date()
        except ValueError:
            continue
    raise ValueError(f"unknown date {text[:40]!r}")


def _glob(pattern):
    return re.compile("[^\\n]*".join(re.escape(part) for part in re.sub(r"\*+", "*", pattern).split("*")) + r"\Z")


def _matcher(name):
    """Return the compiled pattern of a name; a regular expression that could run for ever raises ValueError."""
    if not (len(name) > 2 and name.startswith("/") and name.endswith("/")):
        return _glob(name)
    inner = name[1:-1]
    if (
        len(inner) > LONGEST
        or re.search(r"\)[*+{]|\\[1-9]", inner)
        or len(re.findall(r"(?<!\()[*+?{]", inner)) > REPEATS
    ):
        raise ValueError(f"regular expression {inner[:60]!r} is too complicated")
    try:
        return re.compile(inner)
    except (re.error, OverflowError, RecursionError) as exc:
        raise ValueError(f"regular expression {inner[:60]!r}: {exc}") from exc


def matching(lines, name, edition):
    """
    Return the line that counts for a package: the last one that matches, or ``None``.

    name, edition
        of the package; without an edition (``None``) only lines for every version match.
    """
    found = None
    for line in lines:
        matcher = _matcher(line["name"])
        hit = matcher.search(name) if line["name"].startswith("/") else matcher.match(name)
        if hit and (line["version"] == "*" or (edition and _glob(line["version"]).match(edition))):
            found = line
    return found


def window(lines, package, built, today, limit, missing=None, unknown=()):
    """
    Return the window of the running kernel.

    lines
        of all files, in their order.
    package
        ``{"name", "edition" (or None), "level" (or None)}`` of its live patch package.
    built
        build time of the kernel's package in seconds since 1970, or ``None``.
    today
        datetime.date.
    limit
        pillar ``klp:window:max_level``; 0 is no limit.
    missing
        sentence where no lifecycle data of live patches are installed.
    unknown
        sentences on unrecognised lines; one of them may be the line of this kernel.

    Returns the object ``window`` of a host's document.
    """
    first = datetime.datetime.fromtimestamp(built, datetime.timezone.utc).date() if built else None
    line = matching(lines, package["name"], package["edition"])
    absent = "; ".join([missing or NO_LINE] + list(unknown))
    found = dict(_state(line, first, today, absent), first=first and first.isoformat())
    found["limit"] = _limit(package["level"], limit)
    if found["limit"] and found["limit"]["reached"]:
        found["state"] = "expired"
        found["reason"] = f"live patch level {package['level']} has reached klp:window:max_level ({limit})"
    return found


def _limit(level, most):
    return {"max_level": most, "reached": level is not None and level >= most} if most else None


def _state(line, first, today, absent):
    answer = {"state": "unknown", "last": None, "days": None, "estimate": None, "source": line and line["source"]}
    if line is None or line["date"] is None:
        answer["estimate"] = _estimate(first, today)
        said = absent
        if line and "damaged" in line:
            said = f"{line['source']} is damaged: {line['damaged']}"
        elif line:
            after = f"a successor, {line['successor']}" if line["successor"] else "an end that nobody has set yet"
            said = f"{line['source']} names no date, but {after}"
        return dict(answer, reason=said)
    days = (line["date"] - today).days
    word = "expired" if days < 0 else "open"
    said = f"live patches were made until {line['date']}" if days < 0 else f"live patches are made until {line['date']}"
    return dict(answer, state=word, last=line["date"].isoformat(), days=days, reason=said)


def _estimate(first, today):
    """One year from the build of the kernel's package: SUSE's rule, never a verdict."""
    if first is None:
        return None
    last = first + datetime.timedelta(days=YEAR)
    return {"last": last.isoformat(), "days": (last - today).days}
