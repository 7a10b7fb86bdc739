"""
Facts about this host for other tools than Salt: two small files that every user may read, with nothing secret in them.

They are written whenever the host's document is made, to the folder of pillar ``klp:facts``: ``salt-klp.json``, and the
same as metrics for the textfile collector of Prometheus' node exporter. A reader recognises an old fact by its time and
by the boot id: it says nothing about the time after a restart. Only CVEs that are fixed are named; open ones are
counted.
"""

import contextlib
import errno
import json
import os

from salt.exceptions import CommandExecutionError

import klp_words

SCHEMA, VERSION = "salt-klp/fact", 1
LIFE = 86400  # seconds after which nobody should believe a fact any more
JSON, METRICS = "salt-klp.json", "salt_klp_fact.prom"
PREFIX = "salt_klp_fact_"
STATES = ("fixed_live", "pending", "reboot", "unknown")
ROOT = os.sep  # where the path of a folder begins
OTHERS = 0o022  # what group and others must not have of a folder: write
MAKE = "; make it: install -d -m 0755 -o root -g root {}"


def facts(document):
    """
    Return the facts that a document holds; null is not known.

    document
        as ``klp_document.document`` makes it.
    """
    cves, live_patch, window = document["cves"], document["live_patch"], document["window"]
    known = cves["reason"] is None
    return {
        "schema": SCHEMA,
        "version": VERSION,
        "time": document["time"],
        "expires": document["time"] + LIFE,
        "boot": document["boot"],
        "kernel": document["kernel"],
        "kernel_edition": document["kernel_edition"],
        "live_patch": {key: live_patch[key] for key in ("package", "edition", "level", "active")},
        "transition": document["transition"]["state"],
        "verdict": document["verdict"],
        "window": {key: window[key] for key in ("state", "last")},
        "reboot_needed": document["reboot"]["needed"],
        "cves": {
            "fixed_live": cves["fixed_live"] if known else None,
            "counts": {state: len(cves[state]) for state in STATES} if known else None,
        },
    }


def _metric(name, about, samples):
    """Return the lines of a metric; samples that are not known are left out, and it with them."""
    lines = [f"{PREFIX}{name}{labels} {int(value)}" for labels, value in samples if value is not None]
    return [f"# HELP {PREFIX}{name} {about}", f"# TYPE {PREFIX}{name} gauge", *lines] if lines else []


def metrics(found):
    """Return the facts in Prometheus' text format (0.0.4)."""
    info = {
        "boot_id": found["boot"],
        "kernel": found["kernel"],
        "live_patch": found["live_patch"]["edition"],
        "transition": found["transition"],
        "verdict": found["verdict"],
        "window": found["window"]["state"],
    }
    labels = ",".join(f'{key}="{klp_words.label("" if value is None else str(value))}"' for key, value in info.items())
    counts = found["cves"]["counts"] or {}
    lines = [
        *_metric("timestamp_seconds", "When it was found out.", [("", found["time"])]),
        *_metric("expires_timestamp_seconds", "When nobody should believe it any more.", [("", found["expires"])]),
        *_metric("info", "Always 1; what is known is in the labels.", [("{" + labels + "}", 1)]),
        *_metric("level", "Level of the live patch.", [("", found["live_patch"]["level"])]),
        *_metric("reboot_needed", "1 where an installed package asks for a restart.", [("", found["reboot_needed"])]),
        *_metric(
            "cves", "CVEs of the running kernel by state.", [(f'{{state="{key}"}}', counts[key]) for key in counts]
        ),
    ]
    return "\n".join(lines) + "\n"


def write(host, document):
    """
    Write the facts of a document where pillar ``klp:facts`` wants them; without it nothing is written.

    Raises CommandExecutionError: the folder is not there, is reached over a link, or another user can write into it.
    """
    folder = host.settings["facts"]
    if not folder:
        return
    found = facts(document)
    handle = _opened(folder)
    try:
        _put(handle, JSON, json.dumps(found, sort_keys=True, indent=1) + "\n")
        _put(handle, METRICS, metrics(found))
    except OSError as exc:
        raise CommandExecutionError(f"pillar klp:facts: {folder}: cannot be written ({exc.strerror})") from exc
    finally:
        os.close(handle)


def _opened(folder):
    """Return a handle of the folder: nobody but root could change where it is, or put something there for root."""
    handle, place = os.open(ROOT, os.O_RDONLY | os.O_DIRECTORY), ""
    try:
        for part in folder.strip("/").split("/"):
            place = f"{place}/{part}"
            inner = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=handle)
            os.close(handle)
            handle = inner
            there = os.fstat(handle)
            if there.st_uid not in (0, os.geteuid()) or there.st_mode & OTHERS:
                who = f"user id {there.st_uid}" if there.st_uid else "others than root"
                raise CommandExecutionError(f"pillar klp:facts: {place}: {who} can write there{MAKE.format(folder)}")
    except OSError as exc:
        os.close(handle)
        why = "a file or a link" if exc.errno in (errno.ENOTDIR, errno.ELOOP) else exc.strerror
        raise CommandExecutionError(f"pillar klp:facts: {place}: is no folder ({why}){MAKE.format(folder)}") from exc
    except CommandExecutionError:
        os.close(handle)
        raise
    return handle


def _put(folder, name, text):
    """Write a file of a folder anew: whoever reads it meanwhile has the old one."""
    new = name + ".new"
    with contextlib.suppress(FileNotFoundError):
        os.unlink(new, dir_fd=folder)
    handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644, dir_fd=folder)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        os.fchmod(file.fileno(), 0o644)
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.rename(new, name, src_dir_fd=folder, dst_dir_fd=folder)
