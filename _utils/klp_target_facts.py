"""
The kernels that a host could run, as repositories, rpm and the metadata of zypper have them. Reads only.

What is slow is kept until packages, repositories or their metadata change.
"""

import klp_cmd
import klp_family
import klp_kmps
import klp_live
import klp_parse
import klp_record
import zypp_advisories
import zypp_metadata
import zypp_packages
import zypp_primary
import zypp_repositories
import zypp_solver

RECORD, VERSION = "kernels", 1  # of the record
PARTS = ("-extra", "-optional")  # packages with modules of a kernel, of the same edition
BUILT = "%{VERSION}-%{RELEASE}\\t%{BUILDTIME}\\n"


def facts(host):
    """
    Return what there is of kernels of the running flavour: in repositories, and installed.

    Returns ``{"kernels": {edition: {"built" (seconds since 1970, or None), "installed" (bool), "kmps" (as
    ``klp_kmps.builds`` has it)}}, "live_patches": {package: [editions]}}``.
    """

    def world():
        return [VERSION, host.release, zypp_packages.world()]

    return klp_record.kept(RECORD, world, lambda: _facts(host))


def name(host):
    """Return the name of the package of kernels of the running flavour."""
    return f"kernel-{host.kernel['flavour']}"


def release(host, edition):
    """
    Return what ``uname -r`` says of a kernel, by the edition of its package.

    The package has one number more, which counts the builds of the same sources (kernel-binary.spec.in of SUSE:
    5.14.21-150500.55.7.1 is 5.14.21-150500.55.7-default).
    """
    version, _, number = edition.partition("-")
    return f"{version}-{number.rsplit('.', 1)[0]}-{host.kernel['flavour']}"


def _facts(host):
    prefix, kernel = klp_family.names(host.release)["prefix"], name(host)
    found = zypp_solver.matching(host, [kernel, f"{prefix}*-{host.kernel['flavour']}"])
    here = klp_live.installed(host).get(kernel, [])
    editions = sorted({edition for item, edition in found if item == kernel} | set(here))
    live: dict = {}
    for item, edition in found:
        if item.startswith(prefix):
            live.setdefault(item, []).append(edition)
    places = zypp_primary.paths(zypp_repositories.enabled()).values()
    with zypp_primary.readable(host, places) as files:
        built, kmps = _metadata(host, kernel, editions, here, files)
    return {
        "kernels": {
            edition: {"built": built.get(edition), "installed": edition in here, "kmps": kmps[edition]}
            for edition in editions
        },
        "live_patches": live,
    }


def _metadata(host, kernel, editions, here, files):
    """Return the build times of kernels, and for which module packages of this host there is a build."""
    flavour, modules = host.kernel["flavour"], klp_kmps.installed(host)
    telling = klp_kmps.of_kernel(flavour)

    def read(wanted, capability=None):
        found = [zypp_primary.packages(path, wanted, capability) for path in files]
        return [item for part in found for item in part or ()], all(part is not None for part in found)

    own = klp_kmps.dependencies(host, [f"{item}-{edition}" for item in modules for edition in modules[item]])
    packages = [dict(item, installed=True) for item in own]
    if modules:
        more, complete = read(lambda item, _: item in modules, telling)
        there = {(item["name"], item["edition"]) for item in packages}
        packages += [dict(item, installed=False) for item in more if (item["name"], item["edition"]) not in there]
    needed = {entry[0] for item in packages for entry in item["requires"]}
    parts = (kernel, *(kernel + part for part in PARTS))
    kernels, complete = read(lambda item, _: item in parts, needed.__contains__ if modules else None)
    found = _merged(kernel, kernels + _installed(host, kernel, here, bool(modules)))
    kmps = {edition: klp_kmps.builds(sorted(modules), packages, found.get(edition), complete) for edition in editions}
    return {edition: item["built"] for edition, item in found.items()}, kmps


def _merged(kernel, packages):
    """Return kernels by their editions, each with all that its parts provide: modules of these export symbols too."""
    found = {item["edition"]: dict(item, provides=[]) for item in packages if item["name"] == kernel}
    for item in packages:
        if item["edition"] in found:
            found[item["edition"]]["provides"] += item["provides"]
    return found


def _installed(host, kernel, editions, modules):
    """Return the installed kernels as ``zypp_primary.packages`` has them; they may be in no repository any more."""
    if not editions:
        return []
    names = [f"{kernel}-{edition}" for edition in editions]
    said = host.run(["rpm", "-q", "--qf", BUILT] + names, timeout=120)["stdout"]
    built = dict(line.split("\t", 1) for line in said.splitlines() if "\t" in line)
    found = (
        klp_kmps.dependencies(host, names)
        if modules
        else [{"name": kernel, "edition": edition, "provides": [], "requires": []} for edition in editions]
    )
    times = {edition: int(text) for edition, text in built.items() if text.strip().isdigit()}
    return [dict(item, built=times.get(item["edition"])) for item in found]


def advisories(host):
    """Return the advisories of kernels and live patches, as ``zypp_advisories.touching`` does; kept."""
    return zypp_advisories.touching(host, [name(host), f"{klp_family.names(host.release)['prefix']}*"])


def withdrawn(listed, package, edition):
    """
    Return the ids of the advisories by which the vendor has withdrawn a package.

    listed
        as ``advisories`` has them.
    """
    gone = [item for item in listed if item["status"] == zypp_metadata.RETRACTED]
    return [item["id"] for item in gone if item["packages"].get(package) == edition]


def live_patch(host, found, listed, kernel):
    """
    Return the live patch of a kernel: ``(package, newest edition that was not withdrawn, or None, all editions)``.

    found
        as ``facts`` has it.
    kernel
        its release (``uname -r``).
    """
    package = klp_cmd.parsed(klp_parse.package_name, kernel)
    there = [{"edition": edition} for edition in found["live_patches"].get(package, [])]
    editions = [item["edition"] for item in klp_cmd.parsed(klp_parse.newest_first, there)]
    good = [edition for edition in editions if not withdrawn(listed, package, edition)]
    return package, good[0] if good else None, editions
