"""
The family of hosts as one table: what live patching is called where, what brings it, and what is refused with which
sentence. Pure functions.

``FAMILIES`` says what a system (``/etc/os-release``) has, ``KERNELS`` what a kernel (``uname -r``) has: a host that
came from SLES 12 has kernels of both, and the names of packages and modules go by the kernel. A fact is documented
unless ``marks`` says otherwise. ``docs/reference/hosts.md`` is made from here, and the unit tests run over it.

Sources: SUSE's administration guides (klp, kgraft), klp(8), kgr(8), openQA (lib/klp.pm, install_klp_product),
advisories of SUSE (names of packages), os-release(5); ``tests/data/family``.
"""

import re

SLE = ("sles", "sles_sap", "sled", "sle_hpc", "sle_rt")
ALL = ("x86_64", "ppc64le", "s390x")

# How a live patch is called: package, module in sysfs, folder of the module, dracut module, the kernel's metapackage.
NAMES = {
    "livepatch": {
        "prefix": "kernel-livepatch-",
        "module": "livepatch_",
        "folder": "livepatch",
        "dracut": "kernel-livepatch",
        "metapackage": "kernel-{}-livepatch",
    },
    "kgraft": {
        "prefix": "kgraft-patch-",
        "module": "kgraft_patch_",
        "folder": "kgraft",
        "dracut": "kgraft",
        "metapackage": "kernel-{}-kgraft",
    },
}

KGRAFT = (
    "its kernel has kGraft's own interface (/sys/kernel/kgraft), which says of no single live patch whether it is "
    "active or in transition: migrate to SLES 12 SP5 or SLES 15"
)
# The first that matches the release counts; flavours with the architectures that live patches are made for.
KERNELS: tuple = (
    {
        "of": "SLES 12 up to SP3",
        "match": r"(3\.12|4\.4)\.",
        "names": "kgraft",
        "flavours": {"default": ALL[:2]},
        "refused": KGRAFT,
    },
    {
        "of": "SLES 12 SP4 and SP5",
        "match": r"4\.12\.14-(94|95|120|122)(?![0-9])",
        "names": "kgraft",
        "flavours": {"default": ALL},
        "note": "on s390x from update 13 of SP4 and update 3 of SP5",
    },
    {
        "of": "SLES 15 and SP1",
        "match": r"4\.12\.14-(23|25|150|195|197|150000|150100)(?![0-9])",
        "names": "livepatch",
        "flavours": {"default": ALL[:2]},
    },
    {
        "of": "any other 4.12",
        "match": r"4\.12\.",
        "names": "livepatch",
        "flavours": {},
        "refused": "of 4.12 only the default kernels of SLES 12 SP4, SP5, SLES 15 and SP1 have live patches",
    },
    {
        "of": "SLES 15 SP2 and newer",
        "match": "",
        "names": "livepatch",
        "flavours": {"default": ALL, "rt": ALL[:1]},
        "note": "that rt has them before SP5 is inferred",
    },
)

ETC = ("/etc/zypp/zypp.conf",)
VENDOR = ("/usr/etc/zypp/zypp.conf", "/usr/etc/zypp/zypp.conf.d/*.conf", *ETC, "/etc/zypp/zypp.conf.d/*.conf")
OWN, OWN_12 = ("", "-base", "-devel", "-extra", "-optional"), ("", "-base", "-devel", "-extra", "-man")
COMMON = ("devel", "source", "syms")
NOT_SUSE = "not a SUSE host ({}): there are no live patches of SUSE for it, and salt-klp changes nothing here"
NONE_MADE = "no live patches are made for it"
MIXED = "documented for sles and sles_sap, inferred for the other ids"
SNAPSHOT = (
    "packages of a transactional host change in a new snapshot that counts after a restart, never by zypper, so "
    "nothing is changed here; put LIVEPATCH_KERNEL='always' into /etc/sysconfig/livepatching, run: "
    "transactional-update pkg install {}, then restart the host"
)

# What a system has unless its row says otherwise.
USUAL: dict = {
    "names": "livepatch",
    "tool": "klp",
    "packages": ("kernel-livepatch-tools",),
    "product": "",
    "code": True,
    "pattern": "",
    "zypp_conf": VENDOR,
    "own": OWN,
    "common": COMMON,
    "transactional": None,
    "refused": None,
    "marks": {"systems": MIXED},
}
FACTS = {
    "systems": "/etc/os-release: ID, VERSION_ID (VARIANT_ID)",
    "names": "live patch package, module, folder of the module, dracut module, metapackage",
    "tool": "tool",
    "packages": "packages of the tool and of the support window",
    "product": "product for SUSEConnect",
    "code": "SUSEConnect takes a registration code from standard input",
    "pattern": "pattern",
    "zypp_conf": "zypp.conf",
    "own": "kernel packages of the flavour that are locked",
    "common": "other kernel packages that are locked",
    "transactional": "transactional: what its transactional-update installs",
}
# What all of SLES 12 has.
TWELVE: dict = {
    "names": "kgraft",
    "tool": "kgr",
    "packages": ("kgraft", "lifecycle-data-sle-live-patching"),
    "product": "sle-live-patching",
    "code": False,
    "pattern": "lp_sles",
    "zypp_conf": ETC,
    "own": OWN_12,
    "marks": {"systems": MIXED, "pattern": "inferred", "code": "inferred"},
}
# systems: (IDs, VERSION_ID, VARIANT_ID or None for any). The first row that matches counts.
FAMILIES: tuple = (
    {
        "name": "SLES 12 up to SP3",
        "systems": ((SLE, r"12(\.[0-3](\.\d+)?)?", None),),
        "refused": KGRAFT,
        **TWELVE,
    },
    {
        "name": "SLES 12 SP4 and SP5",
        "systems": ((SLE, r"12\.[45]", None),),
        **TWELVE,
    },
    {
        "name": "SLES 15 and its SP1 to SP7",
        "systems": ((SLE, r"15(\.[0-7])?", None),),
        "packages": ("kernel-livepatch-tools", "lifecycle-data-sle-module-live-patching"),
        "product": "sle-module-live-patching",
        "pattern": "lp_sles",
    },
    {
        "name": "SL Micro 6.2, transactional SLES 16",
        "systems": ((SLE, r"16\.\d+", "transactional"), (("sl-micro",), r"6\.([2-9]|\d\d)", None)),
        "transactional": "-t pattern kernel_livepatching",
        "pattern": "kernel_livepatching",
        "marks": {"systems": "recorded for sles 16.0, else inferred", "product": "inferred"},
    },
    {
        "name": "SLES 16",
        "systems": ((SLE, r"16\.\d+", None),),
        "pattern": "kernel_livepatching",
        "own": (*OWN, "-vdso"),
        "marks": {"systems": f"{MIXED}, and from 16.1 on", "product": "inferred"},
    },
    {
        "name": "SLE Micro 5",
        "systems": ((("sle-micro", "sle-micro-rancher", "suse-microos"), r"5\.\d+", None),),
        "transactional": "-t pattern lp_sles",
        "product": "sle-module-live-patching",
        "pattern": "lp_sles",
        "marks": {"systems": "recorded for sle-micro 5.5, inferred for the other ids"},
    },
    {
        "name": "SL Micro 6.0 and 6.1",
        "systems": ((("sl-micro",), r"6\.[01]", None),),
        "transactional": "kernel-default-livepatch",
        "marks": {"systems": "documented", "product": "inferred", "pattern": "inferred"},
    },
    {
        "name": "openSUSE Leap 15.3 to 15.6",
        "systems": ((("opensuse-leap",), r"15\.[3-6]", None),),
        "marks": dict.fromkeys(("names", "tool", "packages", "product", "pattern"), "inferred"),
    },
    {
        "name": "other openSUSE",
        "systems": (
            (("opensuse-leap",), r"16\.\d+", None),
            (("opensuse-tumbleweed", "opensuse-slowroll", "opensuse-microos", "opensuse-leap-micro"), r".*", None),
        ),
        "refused": NONE_MADE,
        "marks": {"systems": "inferred"},
    },
)


def kernel(release):
    """Return what a kernel has: ``{"names", "flavours": {flavour: architectures}}`` and more, a row of KERNELS."""
    return next(row for row in KERNELS if re.match(row["match"], release))


def names(release=None):
    """
    Return how the live patches of a kernel are called, a value of NAMES.

    release
        ``uname -r``; default: any kernel since SLES 15.
    """
    return NAMES[kernel(release)["names"] if release else "livepatch"]


def unsupported(release, flavour, arch):
    """Return why SUSE makes no live patches for a kernel of this flavour and architecture, or ``None``."""
    row = kernel(release)
    if "refused" in row:
        return f"kernel {release} ({row['of']}) is not supported: {row['refused']}"
    made = row["flavours"]
    if flavour not in made:
        known = ", ".join(sorted(made))
        return f"kernel {release}: there are no live patches for the flavour {flavour}, only for {known}"
    if arch not in made[flavour]:
        return f"kernel {release}: there are no live patches for the flavour {flavour} on {arch}"
    return None


def system(text):
    """Read ``/etc/os-release``: ``(ID, VERSION_ID, VARIANT_ID)``, each of them ``""`` where it is not there."""
    found = _pairs(text)
    return tuple(found.get(key, "") for key in ("ID", "VERSION_ID", "VARIANT_ID"))


def _pairs(text):
    pairs = [line.split("=", 1) for line in (text or "").splitlines() if "=" in line and not line.startswith("#")]
    return {key.strip(): value.strip().strip("\"'") for key, value in pairs}


def family(text):
    """
    Return what the host with this ``/etc/os-release`` has: a row of FAMILIES with all FACTS, and its ``system``.

    An unknown system has the name ``unknown`` and is refused with its id.
    """
    name, version, variant = system(text)
    for row in FAMILIES:
        if any(_fits(wanted, name, version, variant) for wanted in row["systems"]):
            return dict(USUAL, **row, system=f"{name} {version}")
    said = f"{name or 'no ID'} {version}".strip()
    if foreign(text):
        return dict(USUAL, name="unknown", systems=(), system=said, refused=foreign(text), foreign=True)
    known = "; ".join(row["name"] for row in FAMILIES if not _never(row))
    refused = f"how this system's live patches are called is not known, and nothing is guessed; known: {known}"
    return dict(USUAL, name="unknown", systems=(), system=said, refused=refused)


def foreign(text):
    """Return the sentence for a system that is none of SUSE's, by its ``/etc/os-release``; ``None`` for one that is."""
    name, version, _ = system(text)
    like = _pairs(text).get("ID_LIKE", "").split()
    ours = any(name in ids for row in FAMILIES for ids, _, _ in row["systems"])
    if ours or "suse" in like or "opensuse" in like:
        return None
    return NOT_SUSE.format(f"{name or 'no ID'} {version}".strip())


def _never(row):
    return bool(row.get("refused") or row.get("transactional"))


def _fits(wanted, name, version, variant):
    ids, versions, needed = wanted
    return name in ids and bool(re.match(f"(?:{versions})\\Z", version)) and needed in (None, variant)


def transactional(row, read_only):
    """
    Return why no package of this host is changed in place, a transactional host; ``None`` on any other one.

    row
        of ``family``.
    read_only
        whether /usr is mounted read-only.
    """
    if not row["transactional"] and not read_only:
        return None
    why = f"{row['system']} is transactional" if row["transactional"] else "/usr is read-only"
    what = row["transactional"] or f"-t pattern {row['pattern'] or 'lp_sles'}"
    return f"{why}: {SNAPSHOT.format(what)}"


def refused(row, read_only):
    """Return why a host of this family is not live patched here, or ``None``; arguments as for ``transactional``."""
    if row.get("foreign"):
        return row["refused"]
    if row["refused"]:
        return f"{row['system']} ({row['name']}) is not supported: {row['refused']}"
    return transactional(row, read_only)


def stranger(row, release):
    """Return why the running kernel is none of this family, as between a migration and its restart, or ``None``."""
    other = kernel(release)
    if not other["flavours"] or (other["names"] == row["names"] and "refused" not in other):
        return None
    return (
        f"kernel {release} is one of {other['of']}, and this host is {row['system']}: restart it into a kernel of "
        f"{row['name']} first"
    )


def resolved(settings, row):
    """Return settings of pillar ``klp`` in which the word ``auto`` of product and tools is what the family has."""
    tools, product = settings["tools"], settings["product"]
    packages = [item for name in tools["packages"] for item in (row["packages"] if name == "auto" else [name])]
    pattern = row["pattern"] if tools["pattern"] == "auto" else tools["pattern"]
    name = row["product"] if product["name"] == "auto" else product["name"]
    return dict(settings, tools={"packages": packages, "pattern": pattern}, product=dict(product, name=name))


def products():
    """Return, sorted, all products that hold live patches."""
    return sorted({row["product"] for row in FAMILIES if row.get("product")})
