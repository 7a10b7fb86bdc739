"""
Kernel module packages (KMPs) of a host: for which kernels there is a build.

Dependencies tell it, as a kernel of SUSE and its module packages have them: a kernel provides each exported symbol with
its checksum (``ksym(FLAVOUR:SYMBOL) = CHECKSUM``), and its own version (``kernel-FLAVOUR``, ``kernel-uname-r``); a
module package requires the symbols that it uses, or the kernel that it was built with. The old kernel stays installed
and goes on to provide its own, so that zypper never complains of a module package that the new kernel has not: what
counts is the new kernel alone. Where dependencies say nothing of a kernel, nothing is known.

Source: README.md of SUSE's kernel-source ("What is the kernel ABI?"), rpm(8) --queryformat.
"""

import functools
import re

import klp_cves
import zypp_cmd
import zypp_packages

GOOD, MISSING, UNKNOWN = "good", "missing", "unknown"
SYMBOLS = re.compile(r"(?:ksym|kernel)\(")
LIST = "[%{{=NAME}}\\t%{{=VERSION}}-%{{=RELEASE}}\\t%{{{0}NAME}}\\t%{{{0}FLAGS:depflags}}\\t%{{{0}VERSION}}\\n]"


def of_kernel(flavour):
    """Return a function that says of the name of a capability whether it tells of a kernel of this flavour (bool)."""
    names = ("kernel", "kernel-uname-r", f"kernel-{flavour}")
    return lambda name: name in names or SYMBOLS.match(name) is not None


def is_module_package(name, flavour):
    """Return whether this is the name of a kernel module package of a flavour (bool)."""
    return name.endswith(f"-kmp-{flavour}")


def installed(host):
    """Return the kernel module packages of the running flavour that are installed: ``{name: [editions]}``."""
    found = zypp_packages.packages(host)
    flavour = host.kernel["flavour"]
    return {name: found[name].split(",") for name in sorted(found) if is_module_package(name, flavour)}


def dependencies(host, packages):
    """
    Return what some installed packages provide and require of kernels, by two rpm queries.

    packages
        ``NAME-EDITION`` each.

    A list as ``zypp_primary.packages`` has it, with ``built`` ``None``.
    """
    if not packages:
        return []
    found, telling = {}, of_kernel(host.kernel["flavour"])
    for key, tag in (("provides", "PROVIDE"), ("requires", "REQUIRE")):
        argv = ["rpm", "-q", "--qf", LIST.format(tag)] + zypp_cmd.check_names(sorted(packages))
        for line in host.run(argv, timeout=120)["stdout"].splitlines():
            name, edition, what, flag, version = (line.split("\t") + [""] * 5)[:5]
            empty = {"name": name, "edition": edition, "built": None, "provides": [], "requires": []}
            entry = found.setdefault((name, edition), empty)
            if telling(what):
                entry[key].append([what, flag.strip(), version])
    return [found[key] for key in sorted(found)]


def compare(one, two):
    """Return -1, 0 or 1 as rpm orders two editions; one without a release is equal to all of its version."""
    if one == two:
        return 0
    one, two = (item.split(":", 1)[-1] for item in (one, two))
    if "-" not in one or "-" not in two:
        one, two = one.split("-", 1)[0] + "-0", two.split("-", 1)[0] + "-0"
    return 1 if klp_cves.newer(one, two) else -1 if klp_cves.newer(two, one) else 0


def _meets(requirement, provided):
    """Return whether one ``[name, flag, edition]`` that is provided meets a requirement of the same name (bool)."""
    _, flag, edition = requirement
    if not provided[1]:
        return True  # of every version, as rpm and libsolv have it
    order = compare(provided[2], edition)
    return (order == 0 and "=" in flag) or (order > 0 and ">" in flag) or (order < 0 and "<" in flag)


def fits(package, kernel, modules=()):
    """
    Return whether a build of a module package is one for a kernel (bool), ``None`` where its dependencies do not tell.

    package, kernel
        as ``zypp_primary.packages`` has them; the kernel is the new one alone.
    modules
        other module packages, whose symbols it may use.
    """
    tells = of_kernel(kernel["name"].split("-", 1)[1])
    telling = [item for item in package["requires"] if item[1] and tells(item[0])]
    if not telling:
        return None
    provided = {}
    for item in kernel["provides"] + [[kernel["name"], "=", kernel["edition"]]]:
        provided.setdefault(item[0], []).append(item)
    for other in modules:
        for item in other["provides"]:
            if item[0].startswith("ksym("):
                provided.setdefault(item[0], []).append(item)
    return all(any(_meets(item, there) for there in provided.get(item[0], ())) for item in telling)


def builds(names, packages, kernel, complete):
    """
    Return for which module packages there is a build for a kernel.

    names
        of the module packages of this host.
    packages
        all their editions, installed and in repositories; with ``installed`` (bool).
    kernel
        as ``fits`` wants it; ``None`` where nothing is known of it.
    complete
        whether all repositories could be read: only then is one that was not found missing.

    Returns ``{"good", "missing", "unknown": [names], "install": {name: edition}}``; the last one has the builds that
    are not installed yet, the newest of each.
    """
    found, install = {GOOD: [], MISSING: [], UNKNOWN: []}, {}
    for name in names:
        editions = [item for item in packages if item["name"] == name]
        marks = [(fits(item, kernel, packages) if kernel else None, item) for item in editions]
        fitting = [item for mark, item in marks if mark]
        if fitting:
            found[GOOD].append(name)
            if not any(item["installed"] for item in fitting):
                install[name] = newest([item["edition"] for item in fitting])
        else:
            known = complete and all(mark is False for mark, _ in marks)
            found[MISSING if known else UNKNOWN].append(name)
    return dict(found, install=install)


def ordered(editions):
    """Return some editions, newest first."""
    return sorted(editions, key=functools.cmp_to_key(compare), reverse=True)


def newest(editions):
    """Return the newest of some editions."""
    return functools.reduce(lambda one, two: two if compare(two, one) > 0 else one, editions)
