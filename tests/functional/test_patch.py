"""The whole way of one host: ``state.apply klp``, then the maintenance run ``klp.patch``, each predicted first."""

import pytest

from tests.functional.conftest import (
    ADVISORY,
    FIRST,
    KERNEL_EDITION,
    LOADED,
    LOCKS,
    LP,
    NEW_KERNEL_EDITION,
    THIRD,
    apply,
    is_write,
    snapshot,
    volumes,
)
from tests.functional.updates import NO_WAY, UPDATED, difference

TOOLS = {"kernel-livepatch-tools": "1.4-150500.1.1", "lifecycle-data-sle-module-live-patching": "1-150500.10.2.1"}
NEEDS_KERNEL = "needs kernel-default, and the kernel stays as it is"
REBOOT = "asks for a reboot; allow it with pillar klp:update:reboot"
LISTED = "asks for a reboot (provides installhint(reboot-needed)); allow it with pillar klp:update:reboot"
SKIPPED = [
    f"Skipped advisory {ADVISORY}2871: {NEEDS_KERNEL}",
    f"Skipped advisory {ADVISORY}3410: {NO_WAY}",
    f"Skipped advisory {ADVISORY}3500: {REBOOT}",
    f"Skipped package glibc: {REBOOT}",
    f"Skipped package kernel-firmware-all: {LISTED}",
]
BAD_SCRIPT = "installed, but a scriptlet failed: nfs-client-2.1.1-150500.22.3.1.x86_64"
STAYS = ("kernel-default", "glibc", "kernel-firmware-all", "dkms-agent", "bash", "filesystem", "SLES-release")
LIVE_PATCH_STATES = ("klp-enabled", "klp-level", "klp-newest")


def editions(answer):
    """Return the package editions that a run predicts or reports: ``{name: edition}``."""
    found = {name: change["new"] for name, change in answer.changes.get("klp-updates", {}).items()}
    for ident in LIVE_PATCH_STATES:
        changes = answer.changes.get(ident, {})
        for change in (changes.get(LP), changes.get("live patch")):
            found.update({LP: change["new"]} if change else {})
    return found


def predicted_then_done(host, sls):
    """Apply an SLS with test=True, then for real; return both answers and the packages that rpm has new."""
    before = snapshot(host)
    predicted = apply(host, sls, test=True)
    assert predicted.failed == {}
    assert snapshot(host) == before
    done = apply(host, sls)
    assert (done.rc, done.failed) == (0, {})
    return predicted, done, difference(before["packages"], host.packages())


def nothing_left(host, sls):
    """Apply an SLS once more: it has nothing to do, and makes no backup either."""
    before = snapshot(host)
    answer = apply(host, sls)
    assert (answer.rc, answer.changes, set(answer.results.values())) == (0, {}, {True})
    assert host.count("volume-backup") == 0
    assert snapshot(host) == before
    return answer


def first(host, wanted):
    """Return the place in the log of the first program that ``wanted`` is true for."""
    programs = host.programs()
    places = [number for number, program in enumerate(programs) if wanted(program)]
    assert places, [program.argv for program in programs]
    return places[0]


@pytest.mark.parametrize("golden", ["fresh", "enabled"])
def test_host_is_enabled_and_patched_without_a_new_kernel(sles, golden):
    one = sles(golden)
    before = one.packages()

    predicted, done, new = predicted_then_done(one, "klp")
    tools = {} if golden == "enabled" else TOOLS
    assert {**editions(predicted), **tools} == {**editions(done), **tools} == new
    assert new == ({} if golden == "enabled" else {LP: THIRD, **tools})
    assert predicted.changes["klp-locks"] == done.changes["klp-locks"] == {"locked": {"old": [], "new": LOCKS}}
    nothing_left(one, "klp")
    backups = len(volumes(one))
    assert backups == (0 if golden == "enabled" else 1)

    predicted, done, new = predicted_then_done(one, "klp.patch")
    live_patch = {LP: THIRD} if golden == "enabled" else {}
    assert editions(predicted) == editions(done) == new == {**UPDATED, **live_patch}
    assert predicted.comments["klp-updates"].splitlines()[1:] == SKIPPED
    assert done.comments["klp-updates"].splitlines()[1:] == [*SKIPPED, BAD_SCRIPT]
    assert done.comments["klp-verified"].splitlines() == [
        f"ok: {one.kernel} with live patch {THIRD}",
        f"scriptlets: failed, and accepted by pillar klp:update:scriptlets: nfs-client-{UPDATED['nfs-client']}",
    ]

    assert len(volumes(one)) == backups + 1
    identity, run, _ = volumes(one)[-1]
    assert done.changes["klp-backup"] == {"backup": {"old": None, "new": identity}}
    assert done.changes["klp-finished"] == {"open run": {"old": run, "new": None}}
    backup = first(one, lambda program: program.path.endswith("/volume-backup"))
    assert backup < first(one, is_write)
    assert backup < first(one, lambda program: "-U" in program.argv)

    after = one.packages()
    assert {name: after[name] for name in STAYS} == {name: before[name] for name in STAYS}
    assert after["kernel-default"] == [KERNEL_EDITION]
    assert after[LP] == [THIRD]
    assert one.live_patches() == {"livepatch_3_150500_2_1": LOADED}
    assert one.zypper("needs-rebooting").returncode == 0
    nothing_left(one, "klp")
    again = nothing_left(one, "klp.patch")
    assert again.comments["klp-updates"].splitlines()[1:] == SKIPPED


def test_locks_hold_against_a_real_update(sles):
    one = sles("enabled")
    assert apply(one, "klp").failed == {}
    listed = one.run(["zypper", "-n", "--xmlout", "locks", "-s"]).stdout
    assert f'name="kernel-default" edition="{KERNEL_EDITION}" arch="x86_64" installed="true"' in listed
    assert f'name="kernel-default" edition="{NEW_KERNEL_EDITION}" arch="x86_64" installed="false"' in listed
    assert "livepatch" not in listed
    done = one.zypper("up")
    assert "The following item is locked and will not be changed by any action:" in done.stdout
    assert one.editions("kernel-default") == [KERNEL_EDITION]
    assert one.editions("libz1") == [UPDATED["libz1"]]
    assert one.zypper("in", f"kernel-default={NEW_KERNEL_EDITION}").returncode == 4
    assert one.zypper("rm", "kernel-default").returncode == 4
    assert one.editions("kernel-default") == [KERNEL_EDITION]


@pytest.mark.parametrize("golden", ["fresh", "enabled"])
def test_maintenance_run_alone_sets_the_locks_first_and_foretells_only_what_it_can_know(sles, golden):
    one = sles(golden)
    predicted, done, new = predicted_then_done(one, "klp.patch")
    assert predicted.results["klp-updates"] is None
    assert predicted.comments["klp-updates"] == (
        f"Nothing can be said or done before these are locked: {', '.join(LOCKS)}"
    )
    assert editions(predicted) == {LP: THIRD}
    tools = {} if golden == "enabled" else {"kernel-livepatch-tools": TOOLS["kernel-livepatch-tools"]}
    assert {**editions(done), **tools} == new == {**UPDATED, LP: THIRD, **tools}
    assert one.editions("kernel-default") == [KERNEL_EDITION]
    assert one.live_patches() == {"livepatch_3_150500_2_1": LOADED}
    nothing_left(one, "klp.patch")


def test_klp_keeps_the_first_live_patch_and_a_maintenance_run_brings_the_newest(sles):
    one = sles("enabled")
    apply(one, "klp")
    assert one.editions(LP) == [FIRST]
    answer = apply(one, "klp.patch", test=True)
    assert answer.changes["klp-newest"] == {
        "live patch": {"old": FIRST, "new": THIRD},
        "module": {"old": "livepatch_1_150500_9_3_1", "new": "livepatch_3_150500_2_1"},
    }
