"""What sources say of a CVE, side by side, and the one state that follows."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

import klp_cves as cves

LP, KERNEL = "kernel-livepatch-5_14_21-150500_55_7-default", "kernel-default"
A, B = "CVE-2023-0001", "CVE-2023-10000"


def advisory(ident, packages, names=(A,), severity="important", status="needed"):
    return {"id": ident, "status": status, "severity": severity, "cves": list(names), "packages": packages}


def facts(advisories=(), told=(), changelog=(), active="2-1.1", kernel="5.14-7.1"):
    return {
        "told": told if told is None else list(told),
        "changelog": changelog if changelog is None else list(changelog),
        "advisories": list(advisories),
        "kernel": KERNEL,
        "kernel_edition": kernel,
        "live_patch": LP,
        "active": active,
    }


def state(given_, moving=False, cve=A):
    found = cves.sources(given_)
    by_state, lines = cves.states(found, moving)
    (word,) = [word for word, members in by_state.items() if cve in members]
    return word, [line for line in lines if line.startswith(cve)]


@pytest.mark.parametrize(
    ("newer", "older"),
    [
        ("2-1", "1-9"),
        ("10-1", "9-1"),
        ("1-150500.55.12.1", "1-150500.55.7.1"),
        ("1.0a-1", "1.0-1"),
        ("1.0-1", "1.0~rc1-1"),
        ("1.0^git1-1", "1.0-1"),
        ("1.0.1-1", "1.0^git1-1"),
        ("1.1-1", "1.a-1"),
        ("1.b-1", "1.a-1"),
        ("1.0-1", "1.0~-1"),
    ],
)
def test_editions_are_compared_as_rpm_does(newer, older):
    assert cves.newer(newer, older)
    assert not cves.newer(older, newer)
    assert not cves.newer(newer, newer)


def test_numbers_are_compared_as_numbers_and_separators_do_not_count():
    assert not cves.newer("1.01-1", "1.1-1")
    assert not cves.newer("1_1-1", "1.1-1")


@given(st.lists(st.text("019az.~^-", max_size=8), min_size=3, max_size=3))
def test_the_order_of_editions_is_one(editions):
    one, two, three = editions
    assert not (cves.newer(one, two) and cves.newer(two, one))
    if cves.newer(one, two) and cves.newer(two, three):
        assert cves.newer(one, three)


def test_fixed_by_the_active_live_patch():
    given_ = facts([advisory("lp2", {LP: "2-1.1"}), advisory("k12", {KERNEL: "5.14-12.1"})], told=[A], changelog=[A])
    assert state(given_) == ("fixed_live", [])
    assert cves.sources(given_)[A]["advisories"] == ["lp2", "k12"]


def test_fixed_by_a_newer_live_patch():
    assert state(facts([advisory("lp3", {LP: "3-1.1"}), advisory("k12", {KERNEL: "5.14-12.1"})])) == ("pending", [])
    assert state(facts([advisory("lp3", {LP: "3-1.1"})], active="")) == ("pending", [])


def test_fixed_only_in_a_newer_kernel_with_the_worst_severity():
    given_ = facts(
        [
            advisory("k12", {KERNEL: "5.14-12.1"}, severity="moderate"),
            advisory("k13", {KERNEL: "5.14-13.1"}, severity="critical"),
            advisory("k14", {KERNEL: "5.14-14.1"}, severity="strange"),
        ]
    )
    assert state(given_) == ("reboot", [])
    assert cves.sources(given_)[A]["severity"] == "critical"
    assert cves.sources(facts([advisory("k", {KERNEL: "5-1"}, severity="strange")]))[A]["severity"] == "unspecified"


def test_fixed_in_the_running_kernel():
    assert state(facts([advisory("k7", {KERNEL: "5.14-7.1"})])) == ("fixed_kernel", [])


def test_a_kernel_advisory_that_names_it_again_counts():
    again = [advisory("k7", {KERNEL: "5.14-7.1"}), advisory("k12", {KERNEL: "5.14-12.1"})]
    assert state(facts(again)) == ("reboot", [])


def test_a_newer_live_patch_that_names_it_again_is_pending_and_said():
    word, (line,) = state(facts([advisory("lp3", {LP: "3-1.1"})], told=[A], changelog=[A]))
    assert (word, line) == ("pending", f"{A}: a newer live patch names it again (lp3)")


@pytest.mark.parametrize(
    ("given_", "said"),
    [
        (facts(told=[A], changelog=[]), "klp says it is fixed, the changelog of the live patch does not name it"),
        (facts(told=[], changelog=[A]), "the changelog of the live patch names it, klp does not"),
        (
            facts([advisory("lp2", {LP: "2-1.1"})]),
            "an advisory says that the installed live patch fixes it, klp does not",
        ),
    ],
)
def test_sources_that_contradict_each_other_give_unknown(given_, said):
    word, (line,) = state(given_)
    assert word == "unknown"
    assert said in line


@pytest.mark.parametrize(
    "given_",
    [
        facts(told=None, changelog=[A]),
        facts([advisory("lp2", {LP: "2-1.1"})], told=None, changelog=None),
        facts([advisory("lp2", {LP: "2-1.1"})], told=None, changelog=None, active=None),
        facts([advisory("k7", {KERNEL: "5.14-7.1"})], kernel=None),
        facts([advisory("other", {"kernel-livepatch-5_3-default": "9-1"})]),
    ],
)
def test_what_nobody_says_is_unknown(given_):
    assert state(given_) == ("unknown", [])


def test_while_a_transition_runs_nothing_is_fixed_by_a_live_patch():
    assert state(facts(told=[A], changelog=[A]), moving=True) == ("unknown", [])
    assert state(facts([advisory("k7", {KERNEL: "5.14-7.1"})]), moving=True) == ("fixed_kernel", [])


def test_newest_cves_come_first():
    by_state, _ = cves.states(cves.sources(facts([advisory("k", {KERNEL: "9-1"}, [A, B])])), False)
    assert by_state["reboot"] == [B, A]


@pytest.mark.parametrize(
    ("packages", "given_", "word"),
    [
        ({LP: "3-1.1"}, {}, "unknown"),  # a newer live patch had it, and was withdrawn
        ({LP: "3-1.1"}, {"active": ""}, "unknown"),
        ({LP: "3-1.1"}, {"active": None}, "unknown"),
        ({LP: "2-1.1"}, {"told": [A], "changelog": [A]}, "fixed_live"),  # it is installed: the kernel has it
        ({LP: "1-1.1"}, {}, "unknown"),  # the one after it need not have what was withdrawn
        ({KERNEL: "5.14-12.1"}, {}, "unknown"),
        ({KERNEL: "5.14-7.1"}, {}, "fixed_kernel"),
        ({KERNEL: "5.14-6.1"}, {}, "unknown"),
    ],
)
def test_an_advisory_that_was_withdrawn_promises_nothing(packages, given_, word):
    assert state(facts([advisory("gone", packages, status="retracted")], **given_)) == (word, [])


def test_what_a_withdrawn_live_patch_had_may_come_otherwise():
    gone = advisory("gone", {LP: "3-1.1"}, status="retracted")
    assert state(facts([gone, advisory("k12", {KERNEL: "5.14-12.1"})])) == ("reboot", [])
    assert state(facts([gone, advisory("lp4", {LP: "4-1.1"})])) == ("pending", [])


# SUSE-SU-2024:3670-1: live patches of several kernels of one service pack, each at a level of its own.
BUNDLE = {
    "kernel-livepatch-5_14_21-150500_55_28-default": "14-150500.2.1",
    "kernel-livepatch-5_14_21-150500_55_28-default-debuginfo": "14-150500.2.1",
    "kernel-livepatch-SLE15-SP5_Update_5-debugsource": "14-150500.2.1",
    "kernel-livepatch-5_14_21-150500_55_39-default": "12-150500.2.1",
    "kernel-livepatch-5_14_21-150500_55_39-default-debuginfo": "12-150500.2.1",
    "kernel-livepatch-SLE15-SP5_Update_8-debugsource": "12-150500.2.1",
    "kernel-livepatch-5_14_21-150500_55_44-default": "11-150500.2.1",
    "kernel-livepatch-5_14_21-150500_55_44-default-debuginfo": "11-150500.2.1",
    "kernel-livepatch-SLE15-SP5_Update_9-debugsource": "11-150500.2.1",
}


@pytest.mark.parametrize(
    ("kernel", "active", "word"),
    [("28", "13", "pending"), ("28", "14", "fixed_live"), ("39", "11", "pending"), ("39", "12", "fixed_live")]
    + [("44", "10", "pending"), ("44", "11", "fixed_live"), ("44", "13", "fixed_live")],
)
def test_a_bundle_counts_at_the_level_of_the_running_kernel(kernel, active, word):
    name, told = f"kernel-livepatch-5_14_21-150500_55_{kernel}-default", [A] if word == "fixed_live" else []
    given_ = facts([advisory("bundle", BUNDLE)], told, told, active=f"{active}-150500.2.1")
    assert state(dict(given_, live_patch=name)) == (word, [])


VOTES = ("fixed_live", "pending", "reboot", "fixed_kernel", "unknown")


def test_every_combination_has_one_state_and_fixed_needs_klp():
    marks = (True, False, None)
    subsets = [set(c) for size in range(6) for c in itertools.combinations(VOTES, size)]
    for klp, changelog, votes, moving in itertools.product(marks, marks, subsets, (False, True)):
        word, _ = cves.judge({"klp": klp, "changelog": changelog, "votes": votes}, moving)
        assert word in cves.STATES
        if word == "fixed_live":
            assert klp is True and changelog is not False and not moving and "pending" not in votes
        if word == "fixed_kernel":
            assert not votes & {"reboot", "pending", "unknown"}
