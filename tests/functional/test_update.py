"""What a maintenance run updates and leaves out, as pillar ``klp:update`` says, with a real solver."""

import pytest

from tests.functional.conftest import (
    ADVISORY,
    FIRST,
    KERNEL_EDITION,
    LOCKS,
    LP,
    THIRD,
    apply,
    settings,
    snapshot,
    volumes,
    writes,
)

NEW = {
    "curl": "8.0.1-150400.5.26.1",
    "libopenssl1_1": "1.1.1l-150500.17.6.1",
    "libz1": "1.2.13-150500.4.3.1",
    "libzypp": "17.31.20-150500.3.6.1",
    "nfs-client": "2.1.1-150500.22.3.1",
    "glibc": "2.31-150300.63.1",
    "kernel-firmware-all": "20230724-150500.3.6.1",
}
ORDINARY = {"curl", "libopenssl1_1", "libz1", "libzypp", "nfs-client"}
CATEGORY = "category {} is not in pillar klp:update:categories"
SEVERITY = "severity {} is not in pillar klp:update:severities"
EXCLUDED = "excluded by pillar klp:update:exclude"
NEEDS_KERNEL = "needs kernel-default, and the kernel stays as it is"
REBOOT = "asks for a reboot; allow it with pillar klp:update:reboot"
LISTED = "asks for a reboot (provides installhint(reboot-needed)); allow it with pillar klp:update:reboot"
OTHERS = "no advisory speaks of it and pillar klp:update:others is false"
HELD_BACK = "zypper holds back {}: it cannot be installed with the locks and repositories as they are"
ALWAYS = {"2871": NEEDS_KERNEL, "3500": REBOOT, "glibc": REBOOT, "kernel-firmware-all": LISTED}
BAD_SCRIPT = "installed, but a scriptlet failed: nfs-client-2.1.1-150500.22.3.1.x86_64"


@pytest.fixture
def locked(sles):
    """Start hosts that are enabled and locked: only the updates are of interest."""

    def start(golden="enabled", **update):
        one = sles(golden, update=update)
        if golden != "converged":
            one.zypper("al", *LOCKS)
        return one

    return start


def updated(answer):
    """Return the packages that the state of the updates changed, or would change, without the live patch."""
    return set(answer.changes.get("klp-updates", {})) - {LP}


def skipped(answer):
    """Return what was skipped and why: ``{item: reason}``, ids of advisories without their common beginning."""
    lines = [line for line in answer.comments["klp-updates"].splitlines() if line.startswith("Skipped ")]
    found = {}
    for line in lines:
        item, reason = line.split(" ", 2)[2].split(": ", 1)
        found[item.replace(ADVISORY, "")] = reason
    assert len(found) == len(lines)
    return found


def run(host):
    """Predict a maintenance run, make it, and check that rpm has exactly what was predicted and reported."""
    before = snapshot(host)
    predicted = apply(host, "klp.patch", test=True)
    assert predicted.failed == {}
    assert snapshot(host) == before
    answer = apply(host, "klp.patch")
    assert (answer.rc, answer.failed) == (0, {})
    after = host.packages()
    moved = {name for name in after if after[name] != before["packages"].get(name)}
    assert updated(predicted) == updated(answer) == {name for name in moved if not name.startswith("kernel-livepatch")}
    assert {name: after[name] for name in updated(answer)} == {name: [NEW[name]] for name in updated(answer)}
    assert skipped(predicted) == skipped(answer)
    assert after["kernel-default"] == [KERNEL_EDITION]
    return answer


def again(host):
    """Apply the maintenance run once more: nothing changes, and the same things are skipped."""
    answer = apply(host, "klp.patch")
    assert (answer.failed, answer.changes, writes(host)) == ({}, {}, [])
    return answer


@pytest.mark.parametrize(
    ("update", "packages", "reasons"),
    [
        pytest.param(
            {"categories": ["security"]},
            {"libz1"},
            {
                "2990": CATEGORY.format("recommended"),
                "3242": CATEGORY.format("recommended"),
                "3300": CATEGORY.format("recommended"),
                "3310": CATEGORY.format("optional"),
                "3410": CATEGORY.format("recommended"),
                "libzypp": CATEGORY.format("recommended"),
                "libopenssl1_1": CATEGORY.format("recommended"),
                "nfs-client": CATEGORY.format("recommended"),
                "curl": CATEGORY.format("optional"),
            },
            id="security only",
        ),
        pytest.param(
            {"severities": ["important", "critical"]},
            {"libzypp"},
            {
                "3210": SEVERITY.format("moderate"),
                "3242": SEVERITY.format("moderate"),
                "3300": SEVERITY.format("moderate"),
                "3310": SEVERITY.format("low"),
                "3410": SEVERITY.format("moderate"),
                "libz1": SEVERITY.format("moderate"),
                "libopenssl1_1": SEVERITY.format("moderate"),
                "nfs-client": SEVERITY.format("moderate"),
                "curl": SEVERITY.format("low"),
            },
            id="important only",
        ),
        pytest.param(
            {"exclude": [f"{ADVISORY}3210", "*-33?0", "SUSE-SLE-*-2990"]},
            {"libopenssl1_1"},
            {
                "3210": EXCLUDED,
                "3300": EXCLUDED,
                "3310": EXCLUDED,
                "2990": EXCLUDED,
                "3410": HELD_BACK.format("dkms-agent"),
                "libz1": EXCLUDED,
                "nfs-client": EXCLUDED,
                "curl": EXCLUDED,
                "libzypp": EXCLUDED,
            },
            id="excluded by id and glob",
        ),
    ],
)
def test_choice_by_advisory(locked, update, packages, reasons):
    one = locked(**update)
    answer = run(one)
    assert updated(answer) == packages
    assert skipped(answer) == {**ALWAYS, **reasons}
    assert skipped(again(one)) == skipped(answer)
    assert len(volumes(one)) == 1


def test_others_false_leaves_out_what_no_advisory_speaks_of(locked):
    """Firmware, that no advisory speaks of, does not come even if reboots are allowed."""
    one = locked(others=False, reboot=True)
    answer = run(one)
    assert updated(answer) == ORDINARY | {"glibc"}
    assert skipped(answer)["kernel-firmware-all"] == OTHERS
    assert again(one).comments["klp-verified"].startswith("reboot_needed: ")


def test_reboot_allowed_brings_everything_but_the_kernel(locked):
    one = locked(reboot=True)
    answer = run(one)
    assert updated(answer) == ORDINARY | {"glibc", "kernel-firmware-all"}
    assert set(skipped(answer)) == {"2871", "3410"}
    assert answer.comments["klp-verified"].splitlines() == [
        f"reboot_needed: {one.kernel} with live patch 3-150500.2.1",
        "reboot: reboot_needed: an installed update asks for a reboot (/run/reboot-needed)",
        f"scriptlets: failed, and accepted by pillar klp:update:scriptlets: nfs-client-{NEW['nfs-client']}",
    ]
    assert one.zypper("needs-rebooting").returncode == 102
    again(one)


def test_advisory_with_kernel_and_firmware_neither_fails_nor_sneaks_in(locked):
    one = locked(reboot=True)
    one.add_repo("update-combo")
    answer = run(one)
    assert updated(answer) == ORDINARY | {"glibc"}
    assert skipped(answer)["3400"] == NEEDS_KERNEL
    assert skipped(answer)["kernel-firmware-all"] == NEEDS_KERNEL
    assert skipped(again(one)) == skipped(answer)


def test_advisory_that_needs_the_kernel_without_saying_so(locked):
    """zypper patch would end with exit code 4 here and install nothing at all."""
    one = locked("converged")
    assert one.zypper("patch").returncode == 4
    answer = apply(one, "klp.patch")
    assert (answer.failed, answer.changes) == ({}, {})
    assert skipped(answer)["3410"] == HELD_BACK.format("dkms-agent")
    assert one.editions("dkms-agent") == ["1.0-1.1"]


def test_everything_is_one_command_of_editions_update_stack_and_live_patch_too(locked):
    """A run in which the update stack went first would see the rest of its plan after another look at the mirror."""
    one = locked()
    answer = run(one)
    assert (updated(answer), answer.changes["klp-updates"][LP]) == (ORDINARY, {"old": FIRST, "new": THIRD})
    wanted = [f"{name}={edition}" for name, edition in sorted({**NEW, LP: THIRD}.items()) if name in {*ORDINARY, LP}]
    assert writes(one) == [("install", *wanted)]
    installed = [program.argv[-1].rsplit("/", 1)[-1] for program in one.started("rpm") if "-U" in program.argv]
    assert len(installed) == len(wanted)
    assert f"{ADVISORY}2990" not in one.zypper("lp").stdout


def test_failed_scriptlet_is_a_success_that_is_told_where_pillar_accepts_it(locked):
    one = locked()
    answer = run(one)
    assert answer.results["klp-updates"] is True
    assert BAD_SCRIPT in answer.comments["klp-updates"].splitlines()
    assert one.editions("nfs-client") == [NEW["nfs-client"]]
    for told in (answer, again(one)):
        assert told.comments["klp-verified"].splitlines()[-1] == (
            f"scriptlets: failed, and accepted by pillar klp:update:scriptlets: nfs-client-{NEW['nfs-client']}"
        )


def test_nothing_chosen_installs_nothing_and_makes_no_backup(locked):
    one = locked("converged", categories=[], severities=[], others=False)
    answer = apply(one, "klp.patch")
    assert (answer.failed, answer.changes, volumes(one), writes(one)) == ({}, {}, [], [])


def test_lock_of_somebody_else_holds_back_its_update_and_no_other(locked):
    one = locked()
    one.zypper("al", "libz1")
    answer = run(one)
    assert updated(answer) == ORDINARY - {"libz1"}
    assert skipped(answer)["3210"] == HELD_BACK.format("libz1")
    assert one.editions("libz1") == ["1.2.13-150500.2.3"]


def test_change_of_the_pillar_is_followed(locked):
    one = locked(categories=["security"])
    assert updated(run(one)) == {"libz1"}
    one.salt.pillar(settings())
    assert updated(run(one)) == ORDINARY - {"libz1"}
    assert len(volumes(one)) == 2


def test_module_tells_the_plan(locked):
    one = locked()
    answer = one.salt_call("zypper.pending")
    assert answer.rc == 0
    assert {name: change["new"] for name, change in answer.data["packages"].items()} == {n: NEW[n] for n in ORDINARY}
    assert [item[-4:] for item in answer.data["advisories"]] == ["2990", "3210", "3242", "3300", "3310"]
    assert (answer.data["unfinished"], len(answer.data["skipped"])) == ({}, len(ALWAYS) + 1)
    everything = one.salt_call("klp.pending").data
    assert everything["packages"] == {**answer.data["packages"], LP: {"old": FIRST, "new": THIRD}}
    assert (everything["locks"], everything["skipped"]) == ([], answer.data["skipped"])
