"""
Texts of ``klp``, ``uname`` and ``rpm``, read into plain data.

Pure functions: text in; dict, list or str out. An unrecognised line raises ValueError with that line.

Sources: klp(8); kgr(8); recorded samples in ``tests/data/klp``.
"""

import re

import klp_family

KERNEL = re.compile(r"^(?P<version>[0-9][0-9A-Za-z._+~-]*)-(?P<flavour>[0-9a-z_]*[a-z][0-9a-z_]*)\Z")
NO_BLOCKERS = re.compile(r"^no (threads|processes) with k\w+_in_progress set$")
CVE = re.compile(r"CVE-\d{4}-\d{4,}")
FIXED = re.compile(r"^\s*(?:KLP:|- Fix for)\s+(CVE-\d{4}-\d{4,})", re.MULTILINE)
FIELD = re.compile(r"^\s+([^:]+):\s*(.*)$")
BLOCKER = re.compile(r"^\s*(\d+)(?:[\s:]+(\S.*))?$")
FOLDERS = "|".join(names["folder"] for names in klp_family.NAMES.values())
MODULE = re.compile(rf"/(?:{FOLDERS})/[^/]+\.ko(\.\w+)?$")


def kernel(release):
    """
    Split ``uname -r`` into ``{"release", "version", "flavour"}``.

    release
        e.g. ``5.14.21-150500.55.7-default``. Raises ValueError where there is no flavour.
    """
    match = KERNEL.match(release)
    if not match or "-" not in match.group("version"):
        raise ValueError(f"kernel release {release!r} is not of the form VERSION-RELEASE-FLAVOUR")
    return {"release": release, "version": match.group("version"), "flavour": match.group("flavour")}


def unsupported(release, arch):
    """
    Return why SUSE makes no live patches for this kernel, or ``None`` where it does.

    release
        ``uname -r``.
    arch
        ``uname -m``.
    """
    return klp_family.unsupported(release, kernel(release)["flavour"], arch)


def package_name(release):
    """Return the name of the live patch package of the kernel ``release`` (``uname -r``)."""
    parts = kernel(release)
    return f"{klp_family.names(release)['prefix']}{parts['version'].replace('.', '_')}-{parts['flavour']}"


def module_name(edition, release=None):
    """
    Return the kernel module of a live patch package's ``edition`` (``version-release``).

    release
        of its kernel (``uname -r``); default: any kernel since SLES 15.

    ``6-150400.2.2`` is in the file ``livepatch-6_150400_2_2.ko`` and in sysfs as ``livepatch_6_150400_2_2``.
    """
    return klp_family.names(release)["module"] + re.sub(r"[-.,]", "_", edition)


def level(edition):
    """Return the level (int) of a live patch's ``edition``: the number before the first dash."""
    head = edition.split("-", 1)[0]
    if not head.isdigit():
        raise ValueError(f"live patch edition {edition!r} does not begin with a level number")
    return int(head)


def age(edition):
    """Return a key that sorts editions of one live patch package from old to new: level, then the release's numbers."""
    numbers = [int(part) if part.isdigit() else 0 for part in edition.replace("-", ".").split(".")]
    return [level(edition)] + numbers


def newest_first(found):
    """Return editions of one live patch package (dicts with ``edition``) with their ``level``, newest first."""
    with_level = [dict(item, level=level(item["edition"])) for item in found]
    return sorted(with_level, key=lambda item: age(item["edition"]), reverse=True)


def transition(text):
    """Read ``klp status``: ``ready`` or ``in_progress``; anything else raises ValueError."""
    word = text.strip()
    if word not in ("ready", "in_progress"):
        raise ValueError(f"klp status: unknown answer {text.strip()!r}")
    return word


def patches(text):
    """
    Read ``klp -v patches``.

    Returns a list in the tool's order, each ``{"name", "active" (bool), "rpm" (str or None), "cves" (list)}``.
    Unknown fields are kept below ``"other"``. Raises ValueError for a line that is neither name nor field and for a
    block that does not say whether it is active.
    """
    found = []
    for line in text.splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        field = FIELD.match(line)
        if field and found:
            _add_field(found[-1], field.group(1).strip(), field.group(2).strip())
        elif re.match(r"^\S+$", line):
            found.append({"name": line, "active": None, "rpm": None, "cves": []})
        else:
            raise ValueError(f"klp -v patches: unknown line {line!r}")
    for patch in found:
        if patch["active"] is None:
            raise ValueError(f"klp -v patches: {patch['name']!r} does not say whether it is active")
    return found


def _add_field(patch, key, value):
    if key == "active":
        if value not in ("0", "1"):
            raise ValueError(f"klp -v patches: unknown value {value!r} of active for {patch['name']!r}")
        patch["active"] = value == "1"
    elif key == "RPM":
        patch["rpm"] = re.sub(r"\.[^.]+$", "", value)
    elif key == "CVE":
        patch["cves"] = CVE.findall(value)
    else:
        patch.setdefault("other", {})[key] = value


def changelog(text):
    """
    Read ``rpm -q --changelog`` of a live patch package: the CVEs that it fixes, sorted.

    Trailers ``KLP: CVE-...`` and entries ``- Fix for CVE-...`` count, mentions elsewhere do not. Raises ValueError for
    a text without an entry (``* Tue Sep 19 2023 ...``): the first, empty live patch has one too.
    """
    if not re.search(r"^\* \w{3} \w{3} [ \d]\d \d{4}", text, re.MULTILINE):
        raise ValueError(f"rpm -q --changelog: no entry in {text.strip()[:120]!r}")
    return sorted(set(FIXED.findall(text)))


def blockers(text):
    """
    Read ``klp -v blocking``: a list of ``{"pid" (int), "command" (str)}``, empty where nothing blocks.

    Lines below a task that are indented (stack traces of ``-vv``) are kept as its ``stack``.
    """
    found = []
    for line in text.splitlines():
        if not line.strip() or NO_BLOCKERS.match(line.strip()):
            continue
        match = BLOCKER.match(line)
        if match:
            found.append({"pid": int(match.group(1)), "command": (match.group(2) or "").strip(), "stack": []})
        elif found and line[0].isspace():
            found[-1]["stack"].append(line.strip())
        else:
            raise ValueError(f"klp -v blocking: unknown line {line!r}")
    return found


def installed(text):
    """
    Read ``rpm -q --qf '%{NAME}\\t%{VERSION}-%{RELEASE}\\n' NAMES``: ``{name: [editions]}``.

    Names that are not installed are absent. Any other line raises ValueError.
    """
    found = {}
    for line in text.splitlines():
        parts = line.split("\t")
        if len(parts) == 2 and all(parts):
            found.setdefault(parts[0], []).append(parts[1])
        elif line.strip() and not re.match(r"^package \S+ is not installed$", line.strip()):
            raise ValueError(f"rpm -q: unknown line {line!r}")
    return found


def modules(text):
    """Return the kernel modules among the files of a package (``rpm -ql``), as sysfs names them."""
    files = [line.strip() for line in text.splitlines() if MODULE.search(line.strip())]
    return [re.sub(r"[-,.]", "_", name.rsplit("/", 1)[1].split(".ko")[0]) for name in files]


def unit(cgroup):
    """
    Return the systemd unit in the text of ``/proc/PID/cgroup``, or ``None``.

    A user session answers with its scope; kernel threads and processes outside systemd have none.
    """
    names = re.findall(r"[^/\n:]+\.(?:service|scope|socket|mount)(?=/|$)", cgroup, re.MULTILINE)
    return names[-1] if names else None
