"""kernel-default comes in place of kernel-default-base, and no newer kernel gets in meanwhile."""

import pytest
from salt.exceptions import CommandExecutionError

import klp_enable
import klp_kernel
import klp_paths
import klp_preflight
import zypp_lockfile
from tests.unit.conftest import KERNEL
from tests.unit.hosts import KERNEL_PACKAGE, TOOLS, dry, reads, record, remembers, rpm, writes, wrote

SHORT, FULL = "kernel-default-base", "kernel-default"
BASE = "5.14.21-150500.55.7.1.150500.6.2.5"
VERSION = "5.14.21-150500.55.7"
ARGS = ["install", "--no-recommends", f"{FULL}={KERNEL_PACKAGE}", f"-{SHORT}={BASE}"]
SEARCH = ["search", "--details", "--match-exact", "--type", "package", FULL]
NARROW = [f"{FULL}>{KERNEL_PACKAGE}", f"{SHORT}>{BASE}"]
LOCK = "\ntype: package\nmatch_type: glob\ncase_sensitive: on\n{}solvable_name: {}\n\n"


def found(*editions):
    items = "".join(
        f'<solvable status="not-installed" name="{FULL}" kind="package" edition="{item}" arch="x86_64" '
        'repository="Pool"/>'
        for item in editions
    )
    return f"<stream><search-result><solvable-list>{items}</solvable-list></search-result></stream>"


@pytest.fixture
def host(minion, paths):
    """A host of a minimal image, whose kernel is locked by us; zypper's locks bite as written."""
    before = {SHORT: BASE, TOOLS: "1.4-1"}
    rpm(minion, before, {FULL: KERNEL_PACKAGE, TOOLS: "1.4-1"})
    minion.pillar["klp"] = {"tools": {"kernel": True}}
    reads(minion, SEARCH, found("5.14.21-150500.55.12.1", KERNEL_PACKAGE))
    end = "</install-summary></stream>"
    going = dry("remove", f"{SHORT}={BASE}").replace("<stream><install-summary>", "")
    coming = dry("install", f"{FULL}={KERNEL_PACKAGE}").replace(end, going)
    reads(minion, [ARGS[0], "--dry-run", *ARGS[1:]], coming)
    minion.locks = {FULL: "", SHORT: ""}
    locks(minion)
    remembers(minion, "locks", [FULL, SHORT])
    for names, add in (((FULL, SHORT), False), (NARROW, True), ((FULL, SHORT), True), (NARROW, False)):
        locker(minion, sorted(names), add)
    writes(minion, ARGS, changes=True)
    return minion


def locks(minion):
    text = "".join(
        LOCK.format(f"version: {version}\n" if version else "", name.split(">")[0])
        for name, version in minion.locks.items()
    )
    minion.file(klp_paths.LOCKS, text)


def locker(minion, names, add):
    def then():
        for name in names:
            plain, _, edition = name.partition(">")
            if add:
                minion.locks[name] = f"> {edition}" if edition else ""
            else:
                minion.locks.pop(name)
        locks(minion)

    writes(minion, ["addlock" if add else "removelock", *names], then=then)


def test_the_kernel_of_a_minimal_image_is_known(host):
    assert klp_kernel.base(host.host) == BASE
    assert klp_kernel.missing(host.host) == [f"{FULL}={VERSION}"]
    assert klp_enable.missing_tools(host.host) == [f"{FULL}={VERSION}"]
    host.pillar.clear()
    assert klp_kernel.missing(host.host) == []


def test_without_leave_it_is_refused_with_both_ways(host):
    host.pillar["klp"] = {}
    (said,) = klp_preflight.problems(host.host)
    assert said == (
        f"kernel {KERNEL} is that of {SHORT}, and live patches require {FULL} of this version: install it, nothing has "
        f"to be restarted for that: zypper removelock {FULL} {SHORT}; zypper install {FULL}={VERSION} -{SHORT}; or set "
        "pillar klp:tools:kernel to true and run: salt sles1 state.apply klp"
    )
    host.locks.clear()
    locks(host)
    assert f"that: zypper install {FULL}={VERSION} -{SHORT}; or" in klp_preflight.problems(host.host)[0]


def test_with_leave_it_is_refused_for_a_maintenance_run_only(host):
    assert klp_preflight.problems(host.host) == []
    assert klp_preflight.maintenance_problems(host.host)[0].startswith(f"kernel {KERNEL} is that of {SHORT}")


def test_it_comes_with_the_locks_on_what_is_newer(host):
    done = klp_kernel.complete(host.host)
    assert done["changed"] == {FULL: {"old": None, "new": KERNEL_PACKAGE}, SHORT: {"old": BASE, "new": None}}
    assert done["notes"][-1].startswith(f"{FULL} is there in place of {SHORT}")
    steps = list(wrote(host))
    assert steps == [
        ["addlock", *sorted(NARROW)],
        ["removelock", FULL, SHORT],
        ARGS,
        ["addlock", FULL, SHORT],
        ["removelock", *sorted(NARROW)],
    ]
    assert record("locks") == [FULL, SHORT] and zypp_lockfile.locked([FULL, SHORT]) == [FULL, SHORT]
    assert klp_kernel.base(host.host) is None


def test_after_a_failure_the_locks_are_as_before(host):
    writes(host, ARGS, {"retcode": 8, "stderr": "no space"})
    with pytest.raises(CommandExecutionError, match="zypper install: exit 8"):
        klp_kernel.complete(host.host)
    assert zypp_lockfile.locked([FULL, SHORT]) == [FULL, SHORT] and sorted(host.locks) == [FULL, SHORT]


def test_a_lock_of_others_is_theirs_to_take_away(host):
    remembers(host, "locks", [])
    with pytest.raises(CommandExecutionError, match=f"keeps {FULL}; remove it or make it narrower"):
        klp_kernel.complete(host.host)
    assert wrote(host) == []


def test_a_version_that_no_repository_has_is_named(host):
    reads(host, SEARCH, found("5.14.21-150500.55.12.1"))
    with pytest.raises(CommandExecutionError, match=f"^{FULL} of version {VERSION} is in no repository$"):
        klp_kernel.complete(host.host)
    assert wrote(host) == []


@pytest.mark.parametrize(
    ("action", "package"), [("install", "kernel-devel=5.14.21-1"), ("remove", "curl=8-1"), ("install", f"{FULL}=6.0-1")]
)
def test_nothing_else_comes_or_goes_for_it(host, action, package):
    reads(host, [ARGS[0], "--dry-run", *ARGS[1:]], dry(action, package))
    with pytest.raises(
        CommandExecutionError,
        match=f"^zypper install: refused before anything was installed, because it would {action} ",
    ):
        klp_kernel.complete(host.host)
    assert ARGS not in wrote(host) and zypp_lockfile.locked([FULL, SHORT]) == [FULL, SHORT]


def test_another_base_is_not_that_of_the_running_kernel(host):
    rpm(host, {SHORT: "5.14.21-150500.55.12.1.150500.6.2.5"})
    assert klp_kernel.base(host.host) is None
    assert "is not installed" in klp_preflight.problems(host.host)[0]
