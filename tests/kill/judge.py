"""What a host is: all that a run may change, as plain data that can be compared with another host's."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.lab.host import Host
from tests.lab.saltcall import Answer, decode

POSTS = "/var/lib/lab/posts"
RECORDS = "/var/lib/salt-klp"
HISTORY = "/var/log/zypp/history"
CALLS = Path(__file__).parent.parent / "functional" / "calls.py"
# What is of one run only: its id, its backup, its times, a digest of what was installed when it began, and how long
# libzypp's log was when a scriptlet failed (scriptlets.json).
OF_ONE_RUN = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]+|vol-\d+|[0-9a-f]{64}")
A_TIME = 10**9


def plain(value: Any) -> Any:
    """Return a record without what is of one run only."""
    if isinstance(value, dict):
        return {key: "*" if key == "log" else plain(item) for key, item in sorted(value.items())}
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, str):
        return OF_ONE_RUN.sub("*", value)
    return "*" if isinstance(value, (int, float)) and value > A_TIME else value


def read(text: str) -> Any:
    """Return the value in a record, which is JSON, or JSON in each line."""
    try:
        return plain(json.loads(text or "null"))
    except ValueError:
        return [plain(json.loads(line)) for line in text.splitlines()]


def records(host: Host) -> dict[str, Any]:
    """Return the product's records, by file; one that says nothing is as good as none."""
    folder = host.path(RECORDS)
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file() and ".json" in path.suffix]
    found = {str(path.relative_to(folder)): read(path.read_text()) for path in paths}
    return {name: value for name, value in found.items() if value}


def locks(host: Host) -> list[str]:
    """Return the records of the lock file, whatever order they and their lines are in."""
    blocks = [block.splitlines() for block in re.split(r"\n{2,}", host.locks())]
    return sorted("; ".join(sorted(lines)) for lines in blocks if any(lines))


def posts(host: Host) -> list[str]:
    """Return which %post have come to their end."""
    lines = host.read(POSTS).splitlines() if host.exists(POSTS) else []
    return sorted({line.split()[0] for line in lines if line.endswith(" ended")})


def history(host: Host) -> list[str]:
    """Return what zypper wrote down of packages: ``install NAME EDITION``, in order."""
    rows = [line.split("|") for line in host.read(HISTORY).splitlines() if line[:1].isdigit()]
    return [f"{row[1].strip()} {row[2]} {row[3]}" for row in rows if row[1].strip() in ("install", "remove")]


def verdict(data: dict[str, Any]) -> dict[str, str]:
    """Return the verdict of klp.verify and those of its checks."""
    return {"": data["verdict"], **{item["check"]: item["verdict"] for item in data["checks"]}}


def calls(host: Host, *lines: tuple[str, ...]) -> list[Answer]:
    """Run several command lines of salt-call in one process; return their answers."""
    arguments = [host.salt.argv(*line)[2:] for line in lines]
    done = host.run([sys.executable, str(CALLS)], input=json.dumps(arguments))
    if done.returncode:
        raise RuntimeError(f"salt-call: {done.stdout}{done.stderr}")
    return [Answer(code, decode(text), text, "") for code, text in json.loads(done.stdout)]


def output(host: Host, *argv: str) -> str:
    """Return what a program says, whatever it thinks of the host."""
    done: subprocess.CompletedProcess[str] = host.run(argv, count=False)
    return done.stdout + done.stderr


def document(host: Host, verified: Answer | None = None) -> dict[str, Any]:
    """Return all that is compared; ``verified`` is the answer of klp.verify, if it has been asked already."""
    answer = verified or host.salt_call("klp.verify")
    if not isinstance(answer.data, dict):
        raise AssertionError(f"klp.verify gave no answer: {answer.stdout}{answer.stderr}")
    return {
        "packages": host.packages(),
        "rpm -Va": output(host, "rpm", "-Va"),
        "locks": locks(host),
        "records": records(host),
        "live patches": host.live_patches(),
        "initrd": output(host, "lsinitrd", f"/boot/initrd-{host.kernel}"),
        "boot": sorted(path.name for path in host.path("/boot").iterdir()),
        "posts": posts(host),
        "history": history(host),
        "verdict": verdict(answer.data),
    }


def odd_history(found: list[str], wanted: list[str]) -> list[str]:
    """Return what a history has that the other has not, and what was done more than twice: once killed, once whole."""
    foreign = sorted(set(found) - set(wanted))
    often = sorted({line for line in found if found.count(line) > wanted.count(line) + 1})
    return [f"only here: {line}" for line in foreign] + [f"more than twice: {line}" for line in often]


def differences(found: dict[str, Any], wanted: dict[str, Any]) -> dict[str, Any]:
    """Return in what a host differs from another: ``{part: [here, there]}``, nothing when it is the same host."""
    parts = [part for part in wanted if part != "history" and found[part] != wanted[part]]
    odd = odd_history(found["history"], wanted["history"])
    different = {part: narrow(found[part], wanted[part]) for part in parts}
    return {**different, **({"history": [odd, []]} if odd else {})}


def narrow(here: Any, there: Any) -> list[Any]:
    """Return of two values only what differs."""
    if isinstance(here, dict) and isinstance(there, dict):
        keys = sorted(key for key in here.keys() | there.keys() if here.get(key) != there.get(key))
        return [{key: here.get(key) for key in keys}, {key: there.get(key) for key in keys}]
    if isinstance(here, list) and isinstance(there, list) and set(here) != set(there):
        return [[item for item in here if item not in there], [item for item in there if item not in here]]
    return [here, there]
