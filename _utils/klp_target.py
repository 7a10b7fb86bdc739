"""
Which other kernel a host could run, and which one pillar ``klp:kernel:target`` means.

``best`` is the kernel with the longest support window of those that qualify: newer than the running one, not withdrawn,
with a live patch, with a build of all kernel module packages of this host, and room for it in /boot. What is not known
is no yes. A window that is estimated counts as it is, since it is SUSE's own rule and the newest kernels have no other
yet; of two that end on the same day data come before an estimate, then the newer kernel.
"""

import functools
import glob
import os

from salt.exceptions import CommandExecutionError

import klp_arrival
import klp_audit_cves
import klp_cves
import klp_kernel_forms
import klp_kmps
import klp_live
import klp_paths
import klp_target_facts
import klp_window
import zypp_solver

MIB = 1 << 20
OPEN = ("reboot", "pending", "unknown")  # states of a CVE that is not fixed now
OLDER = "it is older than the running kernel"
SAME = "it is another build of the running kernel, with the same files"
WITHDRAWN = "its vendor has withdrawn it (retracted: {})"
NO_LIVE_PATCH = "{} is in no repository"
LIVE_PATCH_WITHDRAWN = "its vendor has withdrawn its live patch {}"
NO_BUILD = "there is no build of {} for it"
BUILD_UNKNOWN = "whether there is a build of {} for it is not known"
FULL = "{} has {} MiB free, and it needs {} MiB there: {}"
ROOM_UNKNOWN = "what it needs in {} is not known, as the files of kernel {} are not there"
WINDOW = "its window is {} ({}), and pillar klp:window:refuse says to stop"
ABSENT = "pillar klp:kernel:target: {} {} is in no repository; there are: {}"
REFUSED = "pillar klp:kernel:target: {} does not qualify: {}"
NONE = "pillar klp:kernel:target: no kernel qualifies: {}"
NO_KERNEL = "{} is in no repository and not installed"
SHOWN = 10  # candidates whose reasons are told


def kernels(host):
    """Return the kernels that repositories have or that are installed, as ``klp_audit.kernels`` describes them."""
    found, listed = klp_target_facts.facts(host), klp_target_facts.advisories(host)
    known = any(klp_target_facts.name(host) in item["packages"] for item in listed)
    data, open_cves, boot = klp_window.Data(host), _open_cves(host, listed), _boot(host)
    editions = sorted(found["kernels"], key=functools.cmp_to_key(klp_kmps.compare), reverse=True)
    running = klp_live.kernel_package(host)["edition"]
    return [_kernel(host, edition, found, listed, known, data, open_cves, boot, running) for edition in editions]


def _kernel(host, edition, found, listed, known, data, open_cves, boot, running):
    package, there = klp_target_facts.name(host), found["kernels"][edition]
    release = klp_target_facts.release(host, edition)
    gone = klp_target_facts.withdrawn(listed, package, edition)
    live, newest, every = klp_target_facts.live_patch(host, found, listed, release)
    window = data.window({"name": live, "edition": newest, "level": None}, there["built"])
    item = {
        "package": package,
        "edition": edition,
        "release": release,
        "running": edition == running if running else release == host.release,
        "installed": there["installed"],
        "retracted": True if gone else False if known else None,
        "live_patch": {"package": live, "edition": newest} if newest else None,
        "window": _window(window),
        "cves": {cve: open_cves[cve]["severity"] for cve in sorted(open_cves) if _closes(open_cves[cve], edition)},
        "kmps": there["kmps"],
        "boot": {"needed": 0, "free": boot["free"]} if there["installed"] else boot,
    }
    if item["running"]:
        return dict(item, problems=[])
    older = not klp_cves.newer(edition, running or host.kernel["version"])
    problems = [OLDER] if older else [SAME] if release == host.release else []
    problems += [WITHDRAWN.format(", ".join(gone))] if gone else []
    if not newest:
        problems.append(LIVE_PATCH_WITHDRAWN.format(every[0]) if every else NO_LIVE_PATCH.format(live))
    return dict(item, problems=problems + _problems(host, item, window))


def _window(found):
    """Return the part of a window that one kernel has."""
    estimate = found["last"] is None and found["estimate"]
    return {
        "state": found["state"],
        "first": found["first"],
        "last": estimate["last"] if estimate else found["last"],
        "estimated": bool(estimate),
        "source": found["source"],
    }


def _problems(host, item, window):
    """Return what module packages, room and window say against a kernel."""
    found = [NO_BUILD.format(name) for name in item["kmps"]["missing"]]
    found += [BUILD_UNKNOWN.format(name) for name in item["kmps"]["unknown"]]
    needed, free = item["boot"]["needed"], item["boot"]["free"]
    if needed is None:
        found.append(ROOM_UNKNOWN.format(klp_paths.BOOT, host.release))
    elif free < needed:
        found.append(FULL.format(klp_paths.BOOT, free // MIB, -(-needed // MIB), klp_arrival.cure(host)))
    if window["state"] in host.settings["window"]["refuse"]:
        found.append(WINDOW.format(window["state"], window["reason"]))
    return found


def _boot(host):
    """
    Return what one more kernel needs in /boot and what is free there, in bytes.

    What the files of the running kernel have and a quarter more, one MiB at least: the initrd of the new one holds a
    live patch, and other drivers. A file system that cannot be asked is an error.
    """
    name = glob.escape(host.release)
    places = {path for form in ("*-{}", ".*-{}", "*-{}.*", ".*-{}.*") for path in _found(form.format(name))}
    sizes = [os.path.getsize(path) for path in places]
    image = any(os.path.basename(path).startswith(("vmlinu", "image", "Image")) for path in places)
    there = image and os.path.isfile(f"{klp_paths.BOOT}/initrd-{host.release}")
    try:
        found = os.statvfs(klp_paths.BOOT)
    except OSError as exc:
        raise CommandExecutionError(f"{klp_paths.BOOT}: {exc.strerror}") from exc
    needed = sum(sizes) + max(sum(sizes) // 4, MIB) if there else None
    return {"needed": needed, "free": found.f_bavail * found.f_frsize}


def _found(pattern):
    return [path for path in glob.glob(f"{klp_paths.BOOT}/{pattern}") if os.path.isfile(path)]


def _open_cves(host, listed):
    """
    Return the CVEs that are open on this host and named by advisories of kernels: ``{cve: {"severity", "editions"}}``.

    An advisory that was withdrawn has fixed nothing.
    """
    package, found = klp_target_facts.name(host), {}
    open_now = {
        cve: item["severity"] for cve, item in klp_audit_cves.cves(host)["cves"].items() if item["state"] in OPEN
    }
    for item in listed:
        if package not in item["packages"] or klp_target_facts.withdrawn([item], package, item["packages"][package]):
            continue
        for cve in set(item["cves"]) & set(open_now):
            entry = found.setdefault(cve, {"severity": open_now[cve] or "unspecified", "editions": []})
            entry["editions"].append(item["packages"][package])
    return found


def _closes(cve, edition):
    """Return whether a kernel has the fix of a CVE: it is no older than one whose advisory names it (bool)."""
    return any(not klp_cves.newer(item, edition) for item in cve["editions"])


def choose(host):
    """
    Return the kernel that pillar ``klp:kernel:target`` means on this host, one of ``kernels``; ``None`` for no other.

    That may be the running one: where no newer one is there, where it has the longest window, or by name. Raises
    CommandExecutionError, one sentence with the reason for each candidate, where none qualifies.
    """
    target = host.settings["kernel"]["target"]
    if target in (None, "", klp_kernel_forms.NONE):
        return None
    found = kernels(host)
    if target != klp_kernel_forms.BEST:
        return _named(host, found, target)
    running = [item for item in found if item["running"]]
    newer = [item for item in found if not item["running"] and not {OLDER, SAME} & set(item["problems"])]
    good = [item for item in newer if not item["problems"]]
    if newer and not good:
        raise CommandExecutionError(NONE.format(_reasons(newer)))
    if not good + running:
        raise CommandExecutionError(NONE.format(NO_KERNEL.format(klp_target_facts.name(host))))
    return functools.reduce(_better, good + running)


def _better(one, two):
    """Return the one of two kernels with the longer window; ``one`` is the newer."""

    def key(item):
        return (item["window"]["last"] or "", not item["window"]["estimated"])

    return two if key(two) > key(one) else one


def _named(host, found, target):
    item = next((item for item in found if item["edition"] == target), None)
    if item is None:
        there = ", ".join(item["edition"] for item in found) or "none"
        if not zypp_solver.repositories():
            raise CommandExecutionError(zypp_solver.NO_REPOSITORIES)
        raise CommandExecutionError(ABSENT.format(klp_target_facts.name(host), target, there))
    if item["problems"]:
        raise CommandExecutionError(REFUSED.format(f"{item['package']} {target}", "; ".join(item["problems"])))
    return item


def _reasons(items):
    """Return the reasons of some candidates, newest first; many are counted."""
    said = [f"{item['edition']}: {', '.join(item['problems'])}" for item in items[:SHOWN]]
    more = len(items) - SHOWN
    return "; ".join(said + ([f"and {more} more, see klp_audit.kernels"] if more > 0 else []))


def summary(host):
    """
    Return ``kernel_target`` of the document of a host, ``None`` where it gets no other kernel.

    ``{"package", "release", "edition", "live_patch" (edition), "window_last", "estimated", "cves": {severity: how many
    it closes}, "problem": None or why there is none}``; where none qualifies all but ``problem`` is ``None``.
    """
    if host.unsupported_reason():
        return None
    empty = dict.fromkeys(("package", "release", "edition", "live_patch", "window_last", "estimated"))
    cves = dict.fromkeys(klp_cves.SEVERITIES, 0)
    try:
        item = choose(host)
    except CommandExecutionError as exc:
        return dict(empty, cves=cves, problem=str(exc))
    if item is None:
        return None
    for severity in item["cves"].values():
        cves[severity] += 1
    return {
        "package": item["package"],
        "release": item["release"],
        "edition": item["edition"],
        "live_patch": item["live_patch"] and item["live_patch"]["edition"],
        "window_last": item["window"]["last"],
        "estimated": item["window"]["estimated"],
        "cves": cves,
        "problem": None,
    }
