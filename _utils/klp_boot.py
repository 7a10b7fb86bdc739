"""
What would come up if this host were restarted now? Pure decisions on texts and facts that ``klp_audit`` collects.

What is not known for certain is ``None`` or the verdict ``unknown``; a text of another form raises ValueError.

Sources: libzypp's purge-kernels (multiversion.kernels), btrfs-subvolume(8), proc(5) on mountinfo, the Boot Loader
Specification and loader.conf(5).
"""

import re

from klp_words import count

LIMIT = 4 << 20  # characters of a text
IMAGE = re.compile(r"(?:vmlinuz|vmlinux|[Ii]mage)-([0-9][0-9A-Za-z._+~-]*)\Z")
PACKED = (".gz", ".xz", ".zst", ".sig", ".hmac")
DEFAULT = re.compile(r"ID (\d+)(?: gen \d+ top level \d+ path (\S.*)| \(FS_TREE\))\Z")
KEYWORD = re.compile(r"([A-Za-z][A-Za-z-]*)[ \t]+(\S.*)\Z")
ACTIVE = re.compile(r"[a-z_]+_([0-9]{1,9})_")


def kernel_of(path):
    """
    Return the release in the name of a kernel image, ``None`` where the name holds none, as of the link ``vmlinuz``.

    path
        e.g. ``/boot/vmlinuz-5.14.21-150500.55.7-default``, on ppc64le ``vmlinux-``, on s390x ``image-``.
    """
    match = IMAGE.match(path.rsplit("/", 1)[-1])
    return match.group(1) if match and not path.endswith(PACKED) else None


def purge(flag, keep, running, again, locked=False):
    """
    Return what purge-kernels does at the next start: ``{"pending" (bool), "keep", "kept"}``.

    flag
        whether its flag file is there.
    keep
        ``multiversion.kernels`` of zypp.conf, or ``None``; nothing is removed where it is empty.
    running
        version of the kernel that runs now, e.g. ``5.14.21-150500.55.7``.
    again
        whether that is the one that comes up, or ``None``: the word ``running`` means the kernel of the next start.
    locked
        whether its package is locked: such a one is not removed.

    ``kept``: the kernel that runs now stays; ``None`` where only counting all kernels could tell (``latest``).
    """
    words = [word.strip() for word in (keep or "").split(",") if word.strip()]
    named = any((word + ".").startswith(running + ".") for word in words)
    counted = any(re.match(r"(latest|oldest)\b", word) for word in words)
    answer = {"pending": bool(flag), "keep": keep}
    if locked or not words or named or ("running" in words and again):
        return dict(answer, kept=True)
    return dict(answer, kept=None if counted or ("running" in words and again is None) else False)


def snapshot(default, mountinfo):
    """
    Compare the subvolume that is mounted at the next start with the one on ``/``; ``None``: the root is not btrfs.

    default
        what ``btrfs subvolume get-default /`` says, ``None`` where it did not answer.
    mountinfo
        text of ``/proc/self/mountinfo``.

    Returns ``{"state": "same", "another" or "unknown", "name" (of the default subvolume, or None)}``.
    """
    mounted = _root(mountinfo)
    if mounted is None:
        return None
    if default is None:
        return {"state": "unknown", "name": None}
    match = DEFAULT.match(default.strip())
    if not match:
        raise ValueError(f"btrfs subvolume get-default: unknown answer {default.strip()[:120]!r}")
    name = (match.group(2) or "").replace("<FS_TREE>/", "", 1)
    return {"state": "same" if mounted.strip("/") == name.strip("/") else "another", "name": name or "FS_TREE"}


def _root(mountinfo):
    """Return the subvolume on ``/``, the last that was mounted there, or ``None`` where that is not btrfs."""
    found = None
    for line in mountinfo.splitlines():
        fields = line.split(" ")
        rest = fields[fields.index("-") + 1 :] if "-" in fields[6:] else []
        if not rest:
            raise ValueError(f"mountinfo: unknown line {line[:120]!r}")
        if fields[4] == "/":
            found = fields[3] if rest[0] == "btrfs" else None
    return found


def loader_default(conf, files):
    """
    Return which entry systemd-boot starts next: ``{"entry", "wanted", "by", "notes"}`` as ``klp_grub.default`` does.

    conf
        text of ``loader.conf``.
    files
        ``{name: text}`` of ``loader/entries``.

    Only a default that names one file is followed; patterns, saved entries and the newest are not known.
    """
    wanted = (_keywords("loader.conf", conf).get("default") or [None])[-1]
    answer = {"entry": None, "wanted": wanted, "by": "loader.conf", "notes": []}
    name = wanted if wanted is None or wanted.endswith(".conf") else f"{wanted}.conf"
    if name not in files or re.search(r"[*?\[@]", name):
        said = f"names {wanted}" if wanted else "names none"
        answer["notes"] = [f"loader.conf {said}: which entry that is only the boot loader knows"]
        return answer
    found = _keywords(name, files[name])
    options = " ".join(found.get("options", [])).split()
    flags = [option for option in options if option.startswith("rootflags=")]
    answer["entry"] = {
        "title": (found.get("title") or [name])[0],
        "id": name,
        "linux": found["linux"][0] if len(found.get("linux", [])) == 1 else None,
        "initrd": found.get("initrd", []),
        "flags": flags[-1] if flags else None,
    }
    return answer


def _keywords(name, text):
    """Read lines of a keyword and its value: ``{keyword: [values]}``."""
    if len(text) > LIMIT:
        raise ValueError(f"{name}: {count(len(text), 'character')}, at most {LIMIT} are read")
    found = {}
    for line in text.splitlines():
        match = KEYWORD.match(line.strip())
        if match:
            found.setdefault(match.group(1), []).append(match.group(2))
        elif line.strip() and not line.strip().startswith("#"):
            raise ValueError(f"{name}: unknown line {line[:120]!r}")
    return found


def elsewhere(entry):
    """Return why an entry of a boot loader does not start what is mounted here, or ``None`` where nothing says so."""
    if (entry["id"] or "").startswith("osprober"):
        return f"entry {entry['title']!r} starts another system (os-prober)"
    if "subvol" in (entry["flags"] or ""):
        return f"entry {entry['title']!r} mounts a subvolume of its own ({entry['flags']})"
    return None


def judge(facts):
    """
    Judge what would come up: ``{"verdict": "ok", "failed" or "unknown", "reasons": [sentences]}``.

    facts
        ``unknown``, ``notes``: sentences; ``kernel``, ``running``: releases, the first that of the next start;
        ``image``: whether it is in /boot; ``unsupported``: why there are no live patches for it; ``package``,
        ``editions``: its live patch package and what is installed of it; ``module``: of that edition; ``initrd``: the
        check of its initrd as ``klp_checks.initrd`` has it; ``found``: modules in there; ``active``: module that is
        active now; ``purge``: as ``purge`` has it.

    ``failed``: it is known that it would come up without a live patch, or with an older one than is active now.
    """
    notes = list(facts["notes"]) + _purged(facts)
    if facts["unknown"]:
        return {"verdict": "unknown", "reasons": list(facts["unknown"]) + notes}
    if facts["kernel"] != facts["running"]:
        notes.insert(0, f"would come up with kernel {facts['kernel']}, running is {facts['running']}")
    unknown, failed = _initrd_unknown(facts), _failures(facts)
    verdict = "failed" if failed else "unknown" if unknown else "ok"
    return {"verdict": verdict, "reasons": failed + unknown + notes}


def _purged(facts):
    if not facts["purge"]["pending"] or facts["purge"]["kept"]:
        return []
    may = "may remove" if facts["purge"]["kept"] is None else "removes"
    said = f"multiversion.kernels = {facts['purge']['keep']}"
    return [f"purge-kernels {may} kernel {facts['running']} at the next start ({said}): lock it, or name it there"]


def _initrd_unknown(facts):
    """Say what the initrd leaves open, of a kernel with one edition of its live patch package."""
    if len(facts["editions"]) > 1:
        return [f"{facts['package']} is installed {count(len(facts['editions']), 'time')}: run state.apply klp"]
    check, module = facts["initrd"], facts["module"]
    if not check or check["verdict"] == "failed":
        return []
    if check["verdict"] != "ok":
        return [f"whether the initrd holds {module} is not known: {check['detail']}"]
    more = [name for name in facts["found"] if name != module]
    return [f"the initrd holds {module}, but {', '.join(more)} as well"] if more else []


def _failures(facts):
    """Say why it would come up without the live patch that it should have, and what helps."""
    kernel, package, running, check = facts["kernel"], facts["package"], facts["running"], facts["initrd"]
    other = "" if kernel == running else f", or make {running} the default again: grub2-set-default"
    without = "would come up without a live patch"
    if not facts["image"]:
        return [f"would not come up: kernel {kernel} is not in /boot; run grub2-mkconfig -o /boot/grub2/grub.cfg"]
    if facts["unsupported"]:
        return [f"{without}: {facts['unsupported']}{other}"]
    if not facts["editions"]:
        helps = "state.apply klp" if kernel == running else f"zypper install {package}"
        return [f"{without}: {package} is not installed; run {helps}{other}"]
    found = _older(facts) if kernel == running else []
    if check and check["verdict"] == "failed":
        with_ = f"would come up with {', '.join(facts['found'])}" if facts["found"] else without
        found.insert(0, f"{with_}: {check['detail']}; run dracut --force --kver {kernel}")
    return found


def _older(facts):
    """Compare the level that comes up with the one that is active now."""
    levels = [ACTIVE.match(name or "") for name in [facts["active"]] + facts["found"]]
    numbers = [int(match.group(1)) for match in levels if match]
    if len(numbers) < 2 or len(numbers) < len(levels) or max(numbers[1:]) >= numbers[0]:
        return []
    return [f"would come up at level {max(numbers[1:])}, active is {numbers[0]}: run state.apply klp"]
