"""What repositories, rpm and metadata say of kernels: one search, and no zypper while nothing has changed."""

import pytest
from salt.exceptions import CommandExecutionError

import klp_kmps
import klp_paths
import klp_target_facts
import zypp_solver
from tests.unit.conftest import LP
from tests.unit.hosts import KERNEL_PACKAGE, has, reads
from tests.unit.primary import entry, text

NEW, OLD = "5.14.21-150500.55.12.1", "5.14.21-150500.55.3.1"
NEW_LP = "kernel-livepatch-5_14_21-150500_55_12-default"
SEARCH = ["search", "--details", "--type", "package", "kernel-default", "kernel-livepatch-*-default"]
DLM = "dlm-kmp-default"
NOTHING: dict = {"good": [], "missing": [], "unknown": [], "install": {}}


def solvable(name, edition):
    return f'<solvable status="other-version" name="{name}" kind="package" edition="{edition}"/>'


def primary(minion, alias, *packages, end="xml"):
    minion.file(f"{klp_paths.REPOSITORIES}/{alias}.repo", f"[{alias}]\n")
    minion.file(f"{klp_paths.RAW_METADATA}/{alias}/repodata/1-primary.{end}", text(*packages))


def package(name, edition, provides="", requires="", built=1689588000):
    version, release = edition.split("-")
    listed = f"<rpm:provides>{provides}</rpm:provides><rpm:requires>{requires}</rpm:requires>"
    return (
        f'<package type="rpm"><name>{name}</name><arch>x86_64</arch>'
        f'<version epoch="0" ver="{version}" rel="{release}"/>'
        f'<time file="9" build="{built}"/><format>{listed}</format></package>\n'
    )


def rpm_tells(minion, tag, names, lines=""):
    minion.programs.on(["rpm", "-q", "--qf", klp_kmps.LIST.format(tag), *names], lines)


@pytest.fixture
def host(minion):
    """A host with two kernels in a repository, and one of before that is only installed."""
    has(minion, "3-150500.2.1", **{"kernel-default": f"{KERNEL_PACKAGE},{OLD}"})
    some = [("kernel-default", NEW), ("kernel-default", KERNEL_PACKAGE), ("kernel-default-devel", NEW)]
    live = [(NEW_LP, "1-150500.11.3.2"), (LP, "3-150500.2.1"), (LP, "2-150500.2.1"), (LP, "3-150500.2.1")]
    found = "".join(solvable(*item) for item in some + live)
    reads(minion, SEARCH, f"<stream><search-result><solvable-list>{found}</solvable-list></search-result></stream>")
    primary(minion, "a", package("kernel-default", NEW), package("kernel-default", KERNEL_PACKAGE))
    names = [f"kernel-default-{KERNEL_PACKAGE}", f"kernel-default-{OLD}"]
    said = f"{KERNEL_PACKAGE}\t1687766400\n{OLD}\t(none)\n"
    minion.programs.on(["rpm", "-q", "--qf", klp_target_facts.BUILT, *names], said)
    return minion


def test_kernels_are_those_of_repositories_and_those_that_are_installed(host):
    assert klp_target_facts.facts(host.host) == {
        "kernels": {
            NEW: {"built": 1689588000, "installed": False, "kmps": NOTHING},
            KERNEL_PACKAGE: {"built": 1687766400, "installed": True, "kmps": NOTHING},
            OLD: {"built": None, "installed": True, "kmps": NOTHING},
        },
        "live_patches": {LP: ["2-150500.2.1", "3-150500.2.1"], NEW_LP: ["1-150500.11.3.2"]},
    }


def test_nothing_is_asked_while_nothing_has_changed(host):
    first = klp_target_facts.facts(host.host)
    calls = len(host.programs.started("zypper"))
    assert klp_target_facts.facts(host.host) == first
    assert calls == 1 and len(host.programs.started("zypper")) == 1
    host.file(f"{klp_paths.REPOSITORIES}/new.repo", "[new]\n")
    klp_target_facts.facts(host.host)
    assert len(host.programs.started("zypper")) == 2


def modules(minion, requires, *more, packages=()):
    """Let a module package be installed, with what it requires; ``more`` are builds in a repository."""
    has(minion, "3-150500.2.1", **{DLM: "1-7.1", "kernel-default": KERNEL_PACKAGE})
    minion.programs.on(
        ["rpm", "-q", "--qf", klp_target_facts.BUILT, f"kernel-default-{KERNEL_PACKAGE}"],
        f"{KERNEL_PACKAGE}\t1687766400\n",
    )
    rpm_tells(minion, "PROVIDE", [f"{DLM}-1-7.1"])
    rpm_tells(minion, "REQUIRE", [f"{DLM}-1-7.1"], f"{DLM}\t1-7.1\t{requires[0]}\t=\t{requires[1]}\n")
    names = [f"kernel-default-{KERNEL_PACKAGE}"]
    rpm_tells(minion, "PROVIDE", names, f"kernel-default\t{KERNEL_PACKAGE}\tksym(default:a)\t=\t0a\n")
    rpm_tells(minion, "REQUIRE", names)
    provides = entry("ksym(default:a)", "EQ", "0b") + entry("ksym(default:never_asked)", "EQ", "0c")
    primary(minion, "a", package("kernel-default", NEW, provides), *more)
    return {edition: item["kmps"] for edition, item in klp_target_facts.facts(minion.host)["kernels"].items()}


def test_a_module_package_without_a_build_is_missing(host):
    found = modules(host, ("ksym(default:a)", "0a"))
    assert found[NEW] == dict(NOTHING, missing=[DLM])
    assert found[KERNEL_PACKAGE] == dict(NOTHING, good=[DLM])


def test_symbols_of_the_other_packages_of_a_kernel_count_as_its_own(host):
    extra = package("kernel-default-extra", NEW, entry("ksym(default:b)", "EQ", "0d"))
    lonely = package("kernel-default-extra", "5.14.21-9.1")
    assert modules(host, ("ksym(default:b)", "0d"), extra, lonely)[NEW] == dict(NOTHING, good=[DLM])


def test_a_build_in_a_repository_has_to_come(host):
    build = package(DLM, "1-12.1", requires=entry("ksym(default:a)", "EQ", "0b"))
    found = modules(host, ("ksym(default:a)", "0a"), build, package(DLM, "1-7.1"))
    assert found[NEW] == dict(NOTHING, good=[DLM], install={DLM: "1-12.1"})


def test_what_a_repository_has_that_cannot_be_read_is_not_known(host):
    primary(host, "b", end="xml.zst")
    assert modules(host, ("ksym(default:a)", "0a"))[NEW] == dict(NOTHING, unknown=[DLM])


def test_a_kernel_whose_metadata_cannot_be_read_tells_nothing(host):
    found = modules(host, ("ksym(default:a)", "0a"), "<package ")
    assert found == {NEW: dict(NOTHING, unknown=[DLM]), KERNEL_PACKAGE: dict(NOTHING, good=[DLM])}


def test_the_edition_of_a_package_is_not_the_release_of_its_kernel(minion):
    assert klp_target_facts.release(minion.host, NEW) == "5.14.21-150500.55.12-default"
    assert klp_target_facts.release(minion.host, "6.5.4-1") == "6.5.4-1-default"


def test_what_was_withdrawn_is_never_the_newest_live_patch(minion):
    found = {"live_patches": {NEW_LP: ["1-1.1", "3-1.1", "2-1.1"]}}
    gone = {"id": "R-1", "status": "retracted", "packages": {NEW_LP: "3-1.1"}}
    good = {"id": "A-1", "status": "needed", "packages": {NEW_LP: "2-1.1"}}
    release = "5.14.21-150500.55.12-default"
    every = ["3-1.1", "2-1.1", "1-1.1"]
    assert klp_target_facts.live_patch(minion.host, found, [gone, good], release) == (NEW_LP, "2-1.1", every)
    assert klp_target_facts.live_patch(minion.host, {"live_patches": {}}, [], release) == (NEW_LP, None, [])


def test_a_host_without_a_package_of_a_kernel_is_told_by_repositories(host):
    has(host, None, **{"kernel-default": ""})
    found = klp_target_facts.facts(host.host)["kernels"]
    assert {edition: item["installed"] for edition, item in found.items()} == {NEW: False, KERNEL_PACKAGE: False}


def test_a_strange_answer_of_zypper_is_an_error(minion):
    reads(minion, SEARCH, '<stream><solvable name="kernel-default"/></stream>')
    with pytest.raises(CommandExecutionError, match="without edition"):
        zypp_solver.matching(minion.host, SEARCH[4:])


def test_advisories_are_asked_for_as_the_audit_of_cves_asks(minion):
    reads(minion, ["search", "--type", "patch", "--conflicts", "kernel-default", "kernel-livepatch-*"], "<stream/>")
    assert klp_target_facts.advisories(minion.host) == []
    assert klp_target_facts.advisories(minion.host) == []
    assert len(minion.programs.started("zypper")) == 1
