"""What may happen to a file of a campaign, and a campaign to which it happens."""

import json
import os

from _runners.klp import commands, journal, planning

JOURNAL, PLAN = "journal", "plan.json"


def store(master):
    """Return what the master has on its disk."""
    return commands.Commands(master.opts, None).store


def begun(master, there):
    """Begin a campaign over web0, and return its id."""
    name, now = master.plan(target="web0"), int(master.fleet.time)
    there.begin(name, by="anna", master="m")
    with there.driving(name) as entries:
        entries.append({"what": "begin", "at": now, "format": journal.FORMAT})
        entries.append({"what": "open", "at": now, "wave": 0})
    there.started(name)
    return name


def flipped(path):
    data = bytearray(open(path, "rb").read())
    data[len(data) // 3] ^= 4
    open(path, "wb").write(bytes(data))


def zeros(path):
    size = os.path.getsize(path)
    open(path, "wb").write(bytes(size) + b"\n")


def cut(path):
    data = open(path, "rb").read()
    open(path, "wb").write(data[: len(data) // 3] + b"\n")


def a_folder(path):
    os.unlink(path)
    os.mkdir(path)


def a_pipe(path):
    os.unlink(path)
    os.mkfifo(path)


def huge(path):
    os.truncate(path, 1 << 40)


def a_list(path):
    open(path, "w").write("[1]\n")


def newer(path):
    if path.endswith(PLAN):
        found = dict(json.load(open(path)), version=9)
        json.dump(planning.identified(found) | {"id": found["id"]}, open(path, "w"))
    else:
        line = journal.encoded({"what": "begin", "at": 1, "format": 9, "program": "9.0.0", "n": 1})
        open(path, "wb").write(line)


def older(path):
    if path.endswith(PLAN):
        json.dump(dict(json.load(open(path)), version=1), open(path, "w"))
    else:
        open(path, "wb").write(journal.encoded({"what": "begin", "at": 1, "format": 1, "n": 1}))


def loops(path):
    os.unlink(path)
    os.symlink(path, path)


def empty(path):
    os.truncate(path, 0)


def torn(path):
    """Within the first line: what is left of it looks like an entry that was being written."""
    os.truncate(path, 20)


def garbage(path):
    open(path, "wb").write(bytes(range(256)) * 20)


DAMAGE = [flipped, zeros, cut, a_folder, a_pipe, huge, a_list, newer, older, loops, empty, torn, garbage, os.unlink]
