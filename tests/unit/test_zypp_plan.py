"""What a maintenance run installs, and what it leaves out for which reason."""

import pytest

from tests.unit.loader import load, recorded

zypp_plan, zypp_parse = load("_utils", "zypp_plan"), load("_utils", "zypp_parse")
DEFAULTS = load("_utils", "klp_pillar").defaults()["update"]
LP = "kernel-livepatch-5_14_21-150500_55_7-default"
BASE = "SUSE-SLE-Module-Basesystem-15-SP5-2023-"
LIVE = "SUSE-SLE-Module-Live-Patching-15-SP5-2023-"

# package, belongs to a kernel itself, is a live patch
NAMES = [
    ("kernel-default", True, False),
    ("kernel-default-base", True, False),
    ("kernel-default-devel", True, False),
    ("kernel-devel", True, False),
    ("kernel-macros", True, False),
    ("kernel-source", True, False),
    ("kernel-source-rt", True, False),
    ("kernel-syms", True, False),
    ("kernel-rt", True, False),
    ("kernel-azure", True, False),
    ("kernel-obs-build", True, False),
    ("kernel", True, False),
    ("kernel-default-livepatch", False, False),
    ("kernel-default-livepatch-devel", False, False),
    ("kernel-rt-livepatch", False, False),
    ("kernel-livepatch-tools", False, False),
    ("kernel-livepatch-tools-devel", False, False),
    ("kernel-firmware-all", False, False),
    ("kernel-firmware", False, False),
    (LP, False, True),
    ("kernel-livepatch-5_3_18-24_29-default", False, True),
    ("kernel-livepatch-6_4_0-10-rt", False, True),
    ("kgraft-patch-4_12_14-122_46-default", False, True),
    ("kernelshark", False, False),
    ("curl", False, False),
    ("libkernel", False, False),
]


@pytest.mark.parametrize(("name", "kernel", "live_patch"), NAMES)
def test_kernel_packages_and_live_patches_are_told_apart(name, kernel, live_patch):
    assert zypp_plan.kernel_package(name) is kernel
    assert zypp_plan.live_patch_package(name) is live_patch


@pytest.mark.parametrize(
    ("flavour", "some"),
    [
        ("default", ["kernel-default", "kernel-default-base", "kernel-devel", "kernel-macros", "kernel-syms"]),
        ("rt", ["kernel-rt", "kernel-devel-rt", "kernel-source-rt", "kernel-syms-rt", "kernel-macros"]),
    ],
)
def test_lock_list_is_explicit_and_freezes_no_live_patch(flavour, some):
    names = zypp_plan.lock_list(flavour, ["shim", "shim"])
    assert set(some) <= set(names) and names == sorted(set(names)) and "shim" in names
    assert all(zypp_plan.kernel_package(name) for name in names if name != "shim")
    assert not any("*" in name for name in names)


@pytest.fixture
def lab():
    """What a host with everything pending says: advisories, their packages, updates."""
    return (
        zypp_parse.advisories(recorded("zypper/list-patches-all.xml")),
        zypp_parse.advisory_packages(recorded("zypper/info-patches.txt")),
        {
            name: change
            for name, change in zypp_parse.updates(recorded("zypper/list-updates.xml")).items()
            if name not in ("kernel-default", "dkms-agent")
        },
    )


def plan(lab, needreboot=("glibc", "kernel-firmware-all"), **update):
    return zypp_plan.plan(*lab, dict(DEFAULTS, **update), set(needreboot))


def reasons(found):
    return {item["item"]: item["reason"] for item in found["skipped"]}


def test_everything_but_kernel_live_patch_and_reboot_is_planned(lab):
    found = plan(lab)
    assert sorted(found["packages"]) == ["curl", "libopenssl1_1", "libz1", "libzypp", "nfs-client"]
    assert found["advisories"] == [BASE + number for number in "2990 3210 3242 3300 3310".split()]
    assert found["stack"] == [BASE + "2990"]
    assert found["live_patches"] == [LIVE + "3001", LIVE + "3179"]


def test_what_is_left_out_has_a_reason(lab):
    asks = "asks for a reboot"
    assert reasons(plan(lab)) == {
        BASE + "2871": "needs kernel-default, and the kernel stays as it is",
        BASE
        + "3410": "zypper holds back dkms-agent: it cannot be installed with the locks and repositories as they are",
        BASE + "3500": f"{asks}; allow it with pillar klp:update:reboot",
        "glibc": f"{asks}; allow it with pillar klp:update:reboot",
        "kernel-firmware-all": f"{asks} (named in /etc/zypp/needreboot); allow it with pillar klp:update:reboot",
    }


def test_reboots_can_be_allowed_but_never_a_kernel(lab):
    found = plan(lab, reboot=True)
    assert {"glibc", "kernel-firmware-all"} <= set(found["packages"])
    assert set(reasons(found)) == {BASE + "2871", BASE + "3410"}


@pytest.mark.parametrize(
    ("update", "item", "reason"),
    [
        ({"exclude": ["*-3210"]}, BASE + "3210", "excluded by pillar klp:update:exclude"),
        ({"exclude": ["*-3210"]}, "libz1", "excluded by pillar klp:update:exclude"),
        ({"categories": ["security"]}, BASE + "3242", "category recommended is not in pillar klp:update:categories"),
        ({"categories": ["security"]}, "curl", "category optional is not in pillar klp:update:categories"),
        ({"severities": ["important"]}, BASE + "3210", "severity moderate is not in pillar klp:update:severities"),
        ({"others": False}, "kernel-firmware-all", "asks for a reboot (named in /etc/zypp/needreboot)"),
    ],
)
def test_settings_keep_an_advisory_and_its_packages_back(lab, update, item, reason):
    found = plan(lab, **update)
    assert reasons(found)[item].startswith(reason) and item not in found["packages"]


def test_packages_without_advisory_are_another_setting(lab):
    advisories, packages, updates = lab
    found = plan((advisories, packages, dict(updates, vim={"old": "1-1", "new": "2-1"})), others=False)
    assert reasons(found)["vim"] == "no advisory speaks of it and pillar klp:update:others is false"
    assert "libz1" in found["packages"]


def test_a_package_that_two_advisories_bring_stays_back_for_a_hard_reason_only():
    advisories = [
        {"id": name, "category": category, "severity": "low", "reboot": False, "stack": False}
        for name, category in (("A", "security"), ("B", "optional"), ("C", "security"))
    ]
    packages = {"A": ["a"], "B": ["a"], "C": ["a", "kernel-default"]}
    updates, update = {"a": {"old": "1-1", "new": "2-1"}}, dict(DEFAULTS, categories=["security"])
    assert zypp_plan.plan(advisories[:2], packages, updates, update, set())["packages"] == updates
    found = zypp_plan.plan(advisories, packages, updates, update, set())
    assert found["packages"] == {} and found["advisories"] == []
    assert reasons(found)["a"] == "needs kernel-default, and the kernel stays as it is"
    assert reasons(found)["A"] == reasons(found)["a"]


def test_an_advisory_without_packages_is_taken():
    advisory = {"id": "A", "category": "security", "severity": "low", "reboot": False, "stack": True}
    assert zypp_plan.plan([advisory], {}, {}, DEFAULTS, set())["stack"] == ["A"]


@pytest.mark.parametrize(
    ("sample", "allow", "found"),
    [
        ("install-kernel.xml", True, ["install kernel-default-5.14.21-150500.55.12.1"]),
        ("install-live-patch.xml", False, []),
        ("install-stack-patch.xml", False, []),
        ("update-with-locks.xml", False, ["upgrade curl-8.0.1-150400.5.26.1"]),
        ("update-with-locks.xml", True, []),
    ],
)
def test_a_dry_run_may_hold_no_kernel(sample, allow, found):
    summary = zypp_parse.summary(recorded(f"zypper/{sample}"))
    assert zypp_plan.forbidden(summary, {"curl"}, allow) == found


def test_a_refusal_says_what_to_do():
    text = zypp_plan.refusal("update", ["install kernel-default-1-1", "remove kernel-rt-1-1"])
    assert "zypper update: refused before anything was installed" in text
    assert "install kernel-default-1-1, remove kernel-rt-1-1" in text and "klp:update:exclude" in text


def test_needreboot_files_name_packages_and_capabilities():
    texts = ["glibc # libc\n\nprovides:kernel\n", "# only a comment\nprovides:dbus\nglibc\n"]
    assert zypp_plan.needreboot(texts) == ({"glibc"}, ["dbus", "kernel"])


@pytest.mark.parametrize(
    ("found", "edition", "there"),
    [
        ("1-2", None, True),
        ("1-2", "1-2", True),
        ("1-2", "1", True),
        ("1-2,3-4", "3", True),
        ("10-2", "1", False),
        (None, None, False),
        (None, "1", False),
        ("", None, False),
    ],
)
def test_presence_of_a_package(found, edition, there):
    assert zypp_plan.present(found, edition) is there


@pytest.mark.parametrize(
    ("code", "scriptlets", "said"),
    [
        (0, [], []),
        (103, [], []),
        (102, [], ["something that was installed asks for a reboot"]),
        (107, ["a-1-1.x86_64"], ["installed, but a scriptlet failed: a-1-1.x86_64"]),
        (107, [], ["installed, but a scriptlet failed: zypper does not say of which package"]),
    ],
)
def test_exit_codes_that_need_words(code, scriptlets, said):
    assert zypp_plan.notes(code, scriptlets) == said


def test_what_is_missing_after_a_run_is_told():
    planned = {name: {"old": "1-1", "new": "2-1"} for name in ("a", "b", "c", "new")}
    before = {"a": "1-1", "b": "1-1", "c": "1-1"}
    said = zypp_plan.missing(planned, before, {"a": "1-1,2-1", "b": "1-1"})
    assert said == ["b: wanted 2-1, found 1-1", "c: wanted 2-1, found nothing"]


def test_new_and_left_advisories(lab):
    found = plan(lab)
    assert zypp_plan.new(found, [BASE + "2871", LIVE + "3001", BASE + "3210", "other"]) == ["other"]
    left = zypp_plan.left(found, [BASE + "3210", "other"])
    assert left[-1] == {"item": BASE + "3210", "kind": "advisory", "reason": zypp_plan.STILL_NEEDED}
    assert zypp_plan.left(found, []) == found["skipped"]
