"""What a maintenance run installs, and what it leaves out for which reason."""

import pytest

import klp_cves
import klp_pillar
import zypp_hints
import zypp_parse
import zypp_plan
from tests.unit.loader import recorded

DEFAULTS = klp_pillar.defaults()["update"]
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
    ("name", "brings"), [("kernel-default-livepatch", True), ("kernel-default", False), (LP, False), ("curl", False)]
)
def test_a_metapackage_brings_the_live_patch_of_each_new_kernel(name, brings):
    assert zypp_plan.metapackage(name) is brings


def test_a_live_patch_package_names_its_kernel():
    assert zypp_plan.kernel_of(LP) == "5.14.21-150500.55.7-default"
    assert zypp_plan.kernel_of("kgraft-patch-4_12_14-122_46-default") == "4.12.14-122.46-default"


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
        {
            key: sorted(value)
            for key, value in zypp_parse.advisory_editions(recorded("zypper/info-patches.txt")).items()
        },
        {
            name: change
            for name, change in zypp_parse.updates(recorded("zypper/list-updates.xml")).items()
            if name not in ("kernel-default", "dkms-agent")
        },
    )


def listed(*names):
    """What asks for a reboot where these names are in the file."""
    return zypp_hints.hints(dict.fromkeys(names, "named in /etc/zypp/needreboot"))


def plan(lab, hints=None, **update):
    advisories, packages, updates = lab
    hints = hints or listed("glibc", "kernel-firmware-all")
    return zypp_plan.plan(advisories, packages, updates, dict(DEFAULTS, **update), hints)


def reasons(found):
    return {item["item"]: item["reason"] for item in found["skipped"]}


def test_everything_but_kernel_live_patch_and_reboot_is_planned(lab):
    found = plan(lab)
    assert sorted(found["packages"]) == ["curl", "libopenssl1_1", "libz1", "libzypp", "nfs-client"]
    assert found["advisories"] == [BASE + number for number in "2990 3210 3242 3300 3310".split()]
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
        ({"exclude": ["libz*"]}, "libz1", "excluded by pillar klp:update:exclude"),
        ({"exclude": ["?url"]}, "curl", "excluded by pillar klp:update:exclude"),
        ({"exclude": ["curl"]}, BASE + "3310", "excluded by pillar klp:update:exclude"),
        ({"exclude": ["dkms-agent"]}, BASE + "3410", "excluded by pillar klp:update:exclude"),  # also held back
        # Allowing a reboot would not bring these, so that is not what is said.
        ({"others": False}, "kernel-firmware-all", "no advisory speaks of it and pillar klp:update:others is false"),
        ({"categories": ["recommended"]}, BASE + "3500", "category security is not in pillar klp:update:categories"),
        ({"severities": ["low"]}, BASE + "3500", "severity important is not in pillar klp:update:severities"),
        ({"severities": ["low"]}, "glibc", "severity important is not in pillar klp:update:severities"),
        ({"exclude": ["glibc"]}, "glibc", "excluded by pillar klp:update:exclude"),
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
    assert zypp_plan.plan(advisories[:2], packages, updates, update)["packages"] == updates
    found = zypp_plan.plan(advisories, packages, updates, update)
    assert found["packages"] == {} and found["advisories"] == []
    assert reasons(found)["a"] == "needs kernel-default, and the kernel stays as it is"
    assert reasons(found)["A"] == reasons(found)["a"]


def test_an_advisory_without_packages_is_taken():
    advisory = {"id": "A", "category": "security", "severity": "low", "reboot": False, "stack": True}
    assert zypp_plan.plan([advisory], {}, {}, DEFAULTS)["advisories"] == ["A"]


@pytest.mark.parametrize(
    ("sample", "allow", "found"),
    [
        ("install-kernel.xml", False, ["install kernel-default-5.14.21-150500.55.12.1"]),
        ("install-kernel.xml", True, ["install kernel-default-5.14.21-150500.55.12.1"]),
        ("install-live-patch.xml", False, []),
        ("install-stack-patch.xml", False, []),
        ("update-with-locks.xml", False, ["upgrade curl-8.0.1-150400.5.26.1 (asks for a reboot)"]),
        ("update-with-locks.xml", True, []),
        ("install-change-vendor.xml", True, ["change the vendor of ven-2-1"]),
        ("install-twice.xml", True, []),
        ("install-kernel-livepatch.xml", True, ["install kernel-default-5.14.21-150500.55.12.1"]),
        ("remove.xml", True, ["remove " + LP + "-1-150500.9.3.1"]),
        ("install-plan.xml", False, ["upgrade curl-8.0.1-150400.5.26.1 (asks for a reboot)"]),
        ("install-nothing.xml", False, []),
    ],
)
def test_a_dry_run_may_hold_no_kernel(sample, allow, found):
    summary = zypp_parse.summary(recorded(f"zypper/{sample}"))
    assert zypp_plan.forbidden(summary, zypp_hints.NONE if allow else listed("curl")) == found


def test_a_refusal_says_what_to_do():
    text = zypp_plan.refusal("update", ["install kernel-default-1-1", "remove kernel-rt-1-1"])
    assert "zypper update: refused before anything was installed" in text
    assert "install kernel-default-1-1, remove kernel-rt-1-1" in text and "klp:update:exclude" in text


ASKS = "install a-1-1 (asks for a reboot)"
KEY = "allow it with pillar klp:update:reboot"


@pytest.mark.parametrize(
    ("offending", "helps"),
    [([ASKS], True), ([ASKS, "install kernel-rt-1-1"], False), (["remove kernel-rt-1-1"], False)],
)
def test_the_pillar_key_is_named_where_it_would_help(offending, helps):
    assert zypp_plan.would(offending) == f"would {', '.join(offending)}" + (f"; {KEY}" if helps else "")
    text = zypp_plan.refusal("install", offending)
    assert ("install it by hand with zypper" in text) is helps and ("lock the kernel packages" in text) is not helps
    assert KEY not in text  # zypper.install and the live patch never ask the pillar


def test_what_drags_in_a_reboot_has_two_cures(lab):
    left = zypp_plan.dropped(plan(lab), {"curl": f"would {ASKS}; {KEY}"}, lab[1])
    assert reasons(left)["curl"] == (
        f"would {ASKS}; {KEY}, or leave it out for good with pillar klp:update:exclude: [curl]"
    )


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
        ("2-1", "1:2-1", True),
        ("2-1", "1:3-1", False),
        ("", None, False),
    ],
)
def test_presence_of_a_package(found, edition, there):
    assert zypp_plan.present(found, edition) is there


@pytest.mark.parametrize(
    ("command", "code", "scriptlets", "said"),
    [
        ("install", 0, [], []),
        ("install", 103, [], []),
        ("install", 102, [], ["something that was installed asks for a reboot"]),
        ("install", 107, ["a-1-1.x86_64"], ["installed, but a scriptlet failed: a-1-1.x86_64"]),
        ("install", 0, ["a-1-1.x86_64"], ["installed, but a scriptlet failed: a-1-1.x86_64"]),
        ("install", 107, [], ["installed, but a scriptlet failed: zypper does not say of which package"]),
        ("remove", 107, ["a-1-1.x86_64"], ["removed, but a scriptlet failed: a-1-1.x86_64"]),
    ],
)
def test_exit_codes_that_need_words(command, code, scriptlets, said):
    assert zypp_plan.notes(command, code, scriptlets) == said


# -- what cannot come along --------------------------------------------------------------------------------------------


def test_a_live_patch_that_is_replaced_is_not_taken_away():
    item = {"name": LP, "kind": "package", "edition": "1-1", "old": None}
    gone = {"remove": [item], "upgrade": [], "nothing": False}
    assert zypp_plan.forbidden(gone, zypp_hints.NONE) == [f"remove {LP}-1-1"]
    assert zypp_plan.forbidden(dict(gone, upgrade=[dict(item, edition="2-1")]), zypp_hints.NONE) == []


def test_a_package_that_asks_for_a_reboot_may_be_removed():
    item = {"name": "glibc", "kind": "package", "edition": "1-1", "old": None}
    assert zypp_plan.forbidden({"remove": [item], "nothing": False}, listed("glibc")) == []
    assert zypp_plan.forbidden({"install": [item], "nothing": False}, listed("glibc")) == [
        "install glibc-1-1 (asks for a reboot)"
    ]


def test_the_edition_that_comes_decides_and_not_the_one_that_is_installed(lab):
    new = lab[2]["curl"]["new"]
    hints = zypp_hints.hints(found=[("curl", new), ("libz1", "1.2.13-150500.2.3")])
    found = reasons(plan(lab, hints))
    assert found["curl"] == f"asks for a reboot (provides installhint(reboot-needed)); {KEY}" and "libz1" not in found
    assert "curl" in plan(lab, hints, reboot=True)["packages"]


def test_a_dry_run_may_hold_nothing_that_is_excluded_by_name():
    summary = zypp_parse.summary(recorded("zypper/install-plan.xml"))
    assert zypp_plan.excluded(summary, []) == [] and zypp_plan.excluded(summary, ["SUSE-*", "url"]) == []
    assert zypp_plan.excluded(summary, ["c*", "libz?"]) == [
        "upgrade curl-8.0.1-150400.5.26.1",
        "upgrade libz1-1.2.13-150500.4.3.1",
    ]
    assert not any(LP in item for item in zypp_plan.excluded(summary, ["*"]))
    assert zypp_plan.excluded(zypp_parse.summary(recorded("zypper/remove.xml")), ["*"]) == []


def test_changes_of_a_dry_run():
    summary = zypp_parse.summary(recorded("zypper/install-change-vendor.xml"))
    assert zypp_plan.changes(summary) == {
        "ep": {"old": "1:1-1", "new": "1:2-1"},
        "ven": {"old": "1-1", "new": "2-1"},
    }
    assert zypp_plan.changes(zypp_parse.summary(recorded("zypper/install-twice.xml"))) == {
        "slow": {"old": "1-1", "new": "2-1"}
    }
    assert list(zypp_plan.changes(zypp_parse.summary(recorded("zypper/install-stack-patch.xml")))) == ["libzypp"]
    removed = zypp_plan.changes(zypp_parse.summary(recorded("zypper/remove.xml")))
    assert removed[LP] == {"old": "1-150500.9.3.1", "new": None}


def test_packages_that_are_dropped_are_named_with_the_cure(lab):
    found = plan(lab)
    contents = dict(lab[1], **{"only-b": ["libz1", "b"], "none": []})
    found["advisories"] += ["only-b", "none", "unknown"]
    left = zypp_plan.dropped(found, {"curl": "would do harm", "libz1": "is wrong"}, contents)
    assert sorted(left["packages"]) == ["libopenssl1_1", "libzypp", "nfs-client"]
    assert left["advisories"] == [BASE + "2990", BASE + "3242", BASE + "3300", "none", "unknown"]
    cures = {
        "curl": "would do harm; leave it out for good with pillar klp:update:exclude: [curl]",
        "libz1": "is wrong; leave it out for good with pillar klp:update:exclude: [libz1]",
    }
    wanted = {**cures, BASE + "3310": cures["curl"], BASE + "3210": cures["libz1"], "only-b": cures["libz1"]}
    assert {item: reason for item, reason in reasons(left).items() if item not in reasons(found)} == wanted
    assert [(item["kind"], item["item"]) for item in left["skipped"]] == sorted(
        (item["kind"], item["item"]) for item in left["skipped"]
    )
    assert zypp_plan.dropped(found, {}, contents) == found


# -- after a run -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("installed", "contents", "needed"),
    [
        ({"a": "2-1"}, {"a": "2-1"}, False),
        ({"a": "3-1"}, {"a": "2-1"}, False),
        ({"a": "1-1"}, {"a": "2-1"}, True),
        ({"a": "1-1,2-1"}, {"a": "2-1"}, False),
        ({"a": "2-1", "b": "1-1"}, {"a": "2-1", "b": "2-1"}, True),
        ({"a": "10-1"}, {"a": "9-1"}, False),
        ({"a": "2-1"}, {"a": "1:2-1"}, False),
        ({"a": "1-1"}, {"a": "1:2-1"}, True),
        ({"a": "2-1"}, {"a": "1:3-1"}, True),
        ({"a": "1-1"}, {"a": "1:1-1"}, False),
        ({}, {"a": "2-1"}, False),
        ({"a": "1-1"}, {}, False),
    ],
)
def test_an_advisory_is_still_needed_while_a_package_of_it_is_older(installed, contents, needed):
    found = zypp_plan.still_needed({"advisories": ["A"]}, {"A": contents, "B": {"a": "9-1"}}, installed, klp_cves.newer)
    assert found == ([{"item": "A", "kind": "advisory", "reason": zypp_plan.STILL_NEEDED}] if needed else [])


def test_an_advisory_of_unknown_contents_is_not_said_to_be_needed():
    assert zypp_plan.still_needed({"advisories": ["A"]}, {}, {"a": "1-1"}, klp_cves.newer) == []


@pytest.mark.parametrize(("edition", "bare"), [("1-1", "1-1"), ("1:2-1", "2-1"), ("0:1-1", "1-1")])
def test_an_edition_without_its_epoch(edition, bare):
    assert klp_cves.without_epoch(edition) == bare
