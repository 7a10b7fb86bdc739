"""
What this master has of salt-klp, and what Salt's file server gives of it to minions.
"""

from __future__ import annotations

import os
import re

import salt.fileserver
import salt.version

import klp_version

from .outcome import REFUSED, answer

PARTS = ("klp", *(f"_{folder}" for folder in klp_version.FOLDERS))
ADD = (
    "no environment has the SLS files of salt-klp; add this line to your file_roots, under base (look with: "
    "salt-run config.get file_roots): - {}"
)
LINKS = (
    "environment {} serves the SLS files but not {}: this Salt does not follow links that lead out of a file root, as "
    "those of a checkout do; install the files with `make install`, and name in their place {}"
)
ONE = "install both from one source, then salt '*' saltutil.sync_all"


def version(opts, runner):
    """
    Return the answer of ``salt-run klp.version``.

    runner
        path of the file of the runner.
    """
    runner = os.path.realpath(runner)
    # Its lists of files are up to 20 seconds old else, and somebody has just changed file_roots.
    files = salt.fileserver.Fileserver(dict(opts, fileserver_list_cache_time=0))
    served = {env: _parts(files, env) for env in sorted(files.envs())}
    served = {env: parts for env, parts in served.items() if parts}
    problems = _problems(files, served, _installed(runner))
    lines = [f"salt-klp {klp_version.VERSION}, runner {runner}"]
    lines.append(f"Salt {salt.version.__version__}, master run by user {opts.get('user') or 'unknown'}")
    for env, parts in served.items():
        lines.append(f"environment {env} serves " + ", ".join(f"{parts[part]} {part}" for part in PARTS if parts[part]))
    lines += [f"wrong: {problem}" for problem in problems] or ["all is as it should be"]
    found = {"version": klp_version.VERSION, "runner": runner, "served": served, "problems": problems}
    return answer(REFUSED if problems else 0, "\n".join(lines), **found)


def _installed(runner):
    """Return the folder that is the file root where the runner is installed beside one, else ``None``."""
    for tree in (os.path.dirname(os.path.dirname(runner)), os.path.join(os.path.dirname(runner), "..", "formula")):
        if os.path.exists(os.path.join(tree, "klp", "init.sls")):
            return os.path.normpath(tree)
    return None


def _parts(files, env):
    """Return how many files of each part an environment serves, ``{}`` where it has nothing of salt-klp."""
    found = dict.fromkeys(PARTS, 0)
    for name in files.file_list({"saltenv": env}):
        part = name.split("/", 1)[0]
        if part == "klp" or (part in found and re.fullmatch(f"{part}/{klp_version.OURS}", name)):
            found[part] += 1
    return found if any(found.values()) else {}


def _problems(files, served, tree):
    """Return what keeps minions from getting salt-klp as it is here, one sentence each with what helps."""
    place = tree or "the folder that holds klp and _modules, as `make install` makes it"
    if not any(parts["klp"] for parts in served.values()):
        return [ADD.format(place)]
    found = []
    for env, parts in served.items():
        missing = [part for part in PARTS[1:] if not parts[part]]
        if parts["klp"] and missing:
            found.append(LINKS.format(env, ", ".join(missing), place))
        theirs = _version(files, env) if parts["_utils"] else None
        if theirs not in (None, klp_version.VERSION):
            found.append(f"environment {env} serves version {theirs}, this runner is {klp_version.VERSION}: " + ONE)
    if len(served) > 1:
        found.append(f"more than one environment has it ({', '.join(served)}): a minion gets files of all of them")
    return found


def _version(files, env):
    """Return the version of what an environment serves, ``None`` where it cannot be read."""
    path = files.find_file("_utils/klp_version.py", env).get("path")
    try:
        with open(path or "", encoding="utf-8") as file:
            match = re.search(r'^VERSION = "([^"\n]{1,40})"$', file.read(100000), re.MULTILINE)
    except OSError:
        return None
    return match.group(1) if match else None
