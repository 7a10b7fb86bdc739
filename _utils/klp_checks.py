"""
Is this host live patched as declared? Pure decisions on facts that the module ``klp`` collects.

The checks are those of SUSE's own kernel QA as far as a host can answer them without a reboot. Verdicts of one check:
``ok``, ``failed``, ``blocked``, ``reboot_needed``, ``unknown`` (the answer could not be found) and ``skipped`` (this
host has no means to answer; the detail says which).
"""

import re

from klp_words import count

# The verdicts: of a check, of a host, of its document. The worst of a host's checks is its own.
OK, BLOCKED, FAILED, UNKNOWN, REBOOT_NEEDED, UNSUPPORTED = (
    "ok",
    "blocked",
    "failed",
    "unknown",
    "reboot_needed",
    "unsupported",
)
VERDICTS = (OK, BLOCKED, REBOOT_NEEDED, UNSUPPORTED, FAILED, UNKNOWN)
SKIPPED = "skipped"  # of a check only
ORDER = (BLOCKED, FAILED, UNKNOWN, REBOOT_NEEDED)
GOOD = (OK, REBOOT_NEEDED)  # a run that ends with one of them has reached what was declared
UNSIGNED = 0x2000  # bit 13 of /proc/sys/kernel/tainted
DEPTH = 5  # functions of a blocker's kernel stack that a message names
FRAME = re.compile(r"(?:\[<\w+>\] )?([^\s+]+)\+0x")
NO_SCRIPTLET = "none failed"
NAMED = 3  # lines of the kernel log that a message quotes
NEWEST = 20  # errors in the kernel log that an answer holds
# Flags of /proc/sys/kernel/tainted by their bit (admin-guide/tainted-kernels), and those of them that errors set.
FLAGS = (
    ("P", "a proprietary module was loaded"),
    ("F", "a module was loaded by force"),
    ("S", "the kernel runs on a system that it is not made for"),
    ("R", "a module was unloaded by force"),
    ("M", "the processor reported a machine check"),
    ("B", "a bad page was referenced"),
    ("U", "a program asked for this flag"),
    ("D", "the kernel died before (oops or BUG)"),
    ("A", "a table of ACPI was replaced"),
    ("W", "the kernel issued a warning"),
    ("C", "a driver of staging was loaded"),
    ("I", "the firmware has a bug that is worked around"),
    ("O", "a module that is not part of the kernel was loaded"),
    ("E", "an unsigned module was loaded"),
    ("L", "a soft lockup occurred"),
    ("K", "a live patch was loaded"),
    ("X", "a flag of the distribution; on SUSE a module with support by its vendor"),
    ("T", "the kernel was built with the plugin randstruct"),
    ("N", "a test inside the kernel was run"),
)
ERRORS = tuple((bit, *FLAGS[bit]) for bit in (4, 5, 7, 9, 14))
TROUBLE = re.compile(
    r"\b(BUG: |kernel BUG at |Oops: |WARNING: CPU: |general protection fault|"
    r"[Uu]nable to handle kernel |Kernel panic|Machine Check Exception|detected stalls? on )"
)
BUILD = re.compile(r"\([0-9a-f]{7,40}(/[^)]*)?\)")


def check(name, verdict, detail):
    """Return one check."""
    return {"check": name, "verdict": verdict, "detail": detail}


def verdict(checks):
    """Return the worst verdict of all checks; skipped ones do not count."""
    found = {item["verdict"] for item in checks}
    return next((word for word in ORDER if word in found), OK)


def wrong(checks):
    """Return the checks that are not ok; skipped ones say nothing."""
    return [item for item in checks if item["verdict"] not in (OK, SKIPPED)]


def summary(checks):
    """Return what is not ok, one line each."""
    return [f"{item['check']}: {item['verdict']}: {item['detail']}" for item in wrong(checks)]


def told(checks):
    """Return what has to be said although it is ok: that a host is held, and what failed and was accepted."""
    good = [item for item in checks if item["verdict"] == OK]
    lines = [item["detail"] for item in good if item["check"] == "held"]
    return lines + [
        f"scriptlets: {item['detail']}"
        for item in good
        if item["check"] == "scriptlets" and item["detail"] != NO_SCRIPTLET
    ]


def transition(sysfs, tool, blockers):
    """
    Compare what the kernel and ``klp status`` say of the transition.

    sysfs
        list of ``klp_sys.live_patches``.
    tool
        ``{"value"}`` of ``klp status`` or ``{"error"}``.
    """
    running = [patch["name"] for patch in sysfs if patch["transition"]]
    if "error" in tool:
        return check("transition", "unknown", tool["error"])
    if running:
        names = "; ".join(blocker_line(item) for item in blockers) or "no task that klp could name"
        return check("transition", "blocked", f"{', '.join(running)} is still in transition, held up by: {names}")
    if tool["value"] != "ready":
        return check("transition", "unknown", f"klp status says {tool['value']}, but no transition in sysfs")
    return check("transition", "ok", "ready")


def blocker_line(item):
    """Return one line that names a blocker with its unit, its package and where in the kernel it is."""
    where = f"unit {item['unit'] or 'unknown'}, package {item['package'] or 'unknown'}"
    stack = " < ".join(functions(item["stack"] or [])[:DEPTH]) or "unknown"
    return f"process {item['pid']} ({item['command'] or item['comm'] or 'unknown'}; {where}, stack {stack})"


def functions(stack):
    """Return the names of the functions in a kernel stack, innermost first (``[<0>] msleep+0x2d/0x60 [module]``)."""
    return [match.group(1) for match in map(FRAME.match, stack) if match]


def active(sysfs, tool):
    """Compare the active live patch in sysfs with ``klp -v patches``."""
    names = [patch["name"] for patch in sysfs if patch["enabled"]]
    if "error" in tool:
        return check("active", "unknown", tool["error"])
    told = [patch["name"] for patch in tool["value"] if patch["active"]]
    if len(names) != 1:
        return check("active", "failed", f"wanted exactly one active live patch, found {', '.join(names) or 'none'}")
    if told != names:
        return check("active", "unknown", f"sysfs says {names[0]} is active, klp says {', '.join(told) or 'none'}")
    return check("active", "ok", names[0])


def package(sysfs, tool, name, editions, modules):
    """Compare the installed package of the running kernel with what is active."""
    if len(editions) != 1:
        return check("package", "failed", f"wanted one edition of {name}, found {', '.join(editions) or 'none'}")
    names = [patch["name"] for patch in sysfs if patch["enabled"]]
    if len(modules) != 1:
        return check("package", "unknown", f"{name}-{editions[0]} has {len(modules)} live patch modules")
    if modules != names:
        return check(
            "package", "failed", f"{name}-{editions[0]} brings {modules[0]}, active is {', '.join(names) or 'none'}"
        )
    told = [patch["rpm"] for patch in tool.get("value", []) if patch["active"]]
    if told and told[0] != f"{name}-{editions[0]}":
        return check("package", "failed", f"klp says {told[0]} is active, rpm says {name}-{editions[0]}")
    return check("package", "ok", f"{name}-{editions[0]}")


def kernel(release, editions, flavour, version):
    """Is the running kernel's package installed, and is it the newest installed one?"""
    if not running_installed(editions, version):
        return check("kernel", "failed", f"no package of the running kernel {release} is installed")
    if len(editions) > 1:
        return check(
            "kernel", "ok", f"kernel-{flavour} is installed {count(len(editions), 'time')}: {', '.join(editions)}"
        )
    return check("kernel", "ok", release)


def running_installed(editions, version):
    """Return whether one of the kernel packages is the running ``version`` (a rebuild number may follow)."""
    return any(edition == version or edition.startswith(version + ".") for edition in editions)


def locks(missing):
    """Do the kernel locks bite?"""
    if missing:
        return check("locks", "failed", f"not locked in every version: {', '.join(missing)}")
    return check("locks", "ok", "all kernel packages are locked")


def unfinished(packages):
    """
    Is every package that was begun installed to its end?

    packages
        ``{name: edition}``, as ``zypp_begun.unfinished`` has it.
    """
    if packages:
        names = ", ".join(f"{name} {edition}" for name, edition in sorted(packages.items()))
        return check(
            "packages", FAILED, f"installation was cut off: {names}; run klp.patch again, it installs them anew"
        )
    return check("packages", OK, "none was cut off")


def scriptlets(packages, accept=False, acknowledged=()):
    """
    Has the scriptlet of every package ended well?

    packages
        ``{name: edition}``, as ``zypp_scriptlets.failed`` has it.
    accept, acknowledged
        of pillar ``klp:update``.
    """
    pairs = {f"{name}={edition}": f"{name}-{edition}" for name, edition in sorted(packages.items())}
    left = [pair for pair in pairs if pair not in acknowledged]
    if not pairs:
        return check("scriptlets", OK, NO_SCRIPTLET)
    if not left:
        return check("scriptlets", OK, f"failed, and acknowledged by pillar: {', '.join(pairs.values())}")
    names = ", ".join(pairs[pair] for pair in left)
    if accept:
        return check("scriptlets", OK, f"failed, and accepted by pillar klp:update:scriptlets: {names}")
    return check(
        "scriptlets",
        FAILED,
        f"a scriptlet failed: {names}; /var/log/zypp/history says how; let it run again with: zypper install --force "
        f"{' '.join(left)}, or, if nothing is to be done, acknowledge it with pillar klp:update:acknowledged: "
        f"[{', '.join(left)}]",
    )


def uname(version):
    """Does ``uname -v`` carry the mark of a live patch? Kernels without the hash of their build cannot answer."""
    match = BUILD.search(version)
    if not match:
        return check("uname", "skipped", f"uname -v has no build hash: {version}")
    if re.match(r"/(lp|kgraft)", match.group(1) or "", re.IGNORECASE):
        return check("uname", "ok", match.group(0))
    return check("uname", "failed", f"uname -v has no live patch mark: {version}")


def taint(text, unsigned_allowed):
    """Is the kernel free of unsigned modules?"""
    if text is None or not text.strip().isdecimal():
        return check("taint", "unknown", f"/proc/sys/kernel/tainted says {text!r}")
    if int(text) & UNSIGNED and not unsigned_allowed:
        return check("taint", "failed", f"an unsigned module was loaded; all flags: {flags(int(text))}")
    return check("taint", "ok", flags(int(text)))


def flags(number):
    """Return taint flags (int) with what each of them says, e.g. ``32768 (K: a live patch was loaded)``."""
    bits = [bit for bit in range(number.bit_length()) if number >> bit & 1]
    words = [": ".join(FLAGS[bit]) if bit < len(FLAGS) else f"bit {bit}: not known here" for bit in bits]
    return f"{number} ({'; '.join(words) or 'not tainted'})"


def trouble(log):
    """
    Return what the kernel log tells of errors of the kernel, the newest NEWEST: ``[{"number", "text"}]``.

    log
        as ``klp_sys.kernel_log`` has it.
    """
    found = [{"number": number, "text": text.strip()[:160]} for number, text in log if TROUBLE.search(text)]
    return found[-NEWEST:]


def kernel_errors(tainted, log):
    """
    Return what taint flags and kernel log tell of earlier errors of the kernel, one sentence each.

    tainted
        text of ``/proc/sys/kernel/tainted``; unknown text is an error of its own.
    log
        lines of the kernel log, without their prefix.
    """
    if tainted is None or not tainted.strip().isdecimal():
        return [f"/proc/sys/kernel/tainted says {tainted!r}"]
    found = [f"taint {letter}: {words}" for bit, letter, words in ERRORS if int(tainted) & 1 << bit]
    lines = [line.strip()[:160] for line in log if TROUBLE.search(line)]
    more = [f"kernel log: and {len(lines) - NAMED} more"] if len(lines) > NAMED else []
    return found + [f"kernel log: {line}" for line in lines[:NAMED]] + more


def held(edition, above, hold, missing):
    """
    Is a host that went back not above where it is held, and do the locks bite?

    edition, above
        installed, and whether that is newer than what is held.
    hold, missing
        as ``klp_hold.held`` and ``zypp_lockfile.missing`` have them.
    """
    since = f"held at {hold['edition']} since it went back from {hold['from']}"
    if above:
        return check("held", "failed", f"{since}, but {edition} is installed; run klp.rollback or klp.unhold")
    if missing:
        return check("held", "failed", f"{since}, but not locked: {', '.join(missing)}; run klp.hold or klp.unhold")
    return check("held", "ok", f"{since}; let newer ones come with klp.unhold")


def retracted(edition, found, said, host):
    """
    Is the installed live patch one that its vendor has not withdrawn?

    found
        as ``klp_retracted.of`` has it.
    said
        clause for one that was withdrawn, ``klp_retracted.withdrawn``.
    host
        id of the minion, for the command that leaves it.
    """
    if edition is None:
        return check("retracted", SKIPPED, "no live patch of the running kernel is installed")
    if found["retracted"]:
        leave = f"salt {host} state.apply klp.rollback, or with klp.patch once a newer one is there"
        return check("retracted", FAILED, f"{said}; leave it with: {leave}")
    if found["retracted"] is None:
        return check("retracted", SKIPPED if found["read"] else UNKNOWN, found["reason"])
    return check("retracted", OK, f"{edition} was not withdrawn")


def initrd(answer, modules, names):
    """
    Is the live patch in the initrd of the running kernel?

    answer
        ``{"value"}`` (text of lsinitrd), ``{"skipped"}`` or ``{"error"}``.
    names
        how live patches of that kernel are called, as ``klp_family.names`` has it.
    """
    if "skipped" in answer:
        return check("initrd", "skipped", answer["skipped"])
    if "error" in answer:
        return check("initrd", "unknown", answer["error"])
    lines = answer["value"].splitlines()
    if names["dracut"] not in [line.strip() for line in lines]:
        return check("initrd", "failed", f"the initrd has no dracut module {names['dracut']}")
    there = {
        re.sub(r"[-,.]", "_", line.rsplit("/", 1)[1].split(".ko")[0])
        for line in lines
        if f"/{names['folder']}/" in line and ".ko" in line
    }
    absent = [name for name in modules if name not in there]
    if absent:
        return check("initrd", "failed", f"not in the initrd: {', '.join(absent)}")
    return check("initrd", "ok", ", ".join(modules))


def reboot(needed, waiting=None, kernel=None):
    """
    Did something that was installed ask for a reboot, or does something wait for one?

    needed
        libzypp's flag; SLES 12 has none.
    waiting
        a restoration, ``{"backup"}``.
    kernel
        ``NAME-EDITION`` of a kernel that is installed and newer than the one that runs.
    """
    if waiting:
        return check("reboot", "reboot_needed", f"backup {waiting['backup']} is being restored: restart the host")
    if needed:
        return check("reboot", "reboot_needed", "an installed update asks for a reboot (/run/reboot-needed)")
    if kernel:
        return check("reboot", "reboot_needed", f"{kernel} is installed and waits for a restart")
    return check("reboot", "ok", "not needed")
