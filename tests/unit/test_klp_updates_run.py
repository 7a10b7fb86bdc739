"""``klp_updates.update``: one command, the one that was tried; what was cut off first; rpm has the last word."""

import pytest
from salt.exceptions import CommandExecutionError

import klp_updates
from tests.unit.conftest import LP
from tests.unit.hosts import (
    BASE,
    FIRST,
    LATER,
    ONE,
    PENDING,
    THREE,
    TWO,
    dry,
    reads,
    record,
    remembers,
    repository,
    rpm,
    writes,
    wrote,
)
from tests.unit.loader import recorded
from tests.unit.updates import CURE, EIGHT, REFUSED, advisory, host_with, info, package

UPGRADED = {"old": "1-1", "new": "2-1"}
ALL = dict.fromkeys(EIGHT, UPGRADED)
LOST = "cut off before and not installed again: "


def update(minion, level=None, check=None, **settings):
    minion.pillar["klp"] = {"update": settings}
    return klp_updates.update(minion.host, level=level, check=check)


# -- one command -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("licenses", "more"), [(False, []), (True, ["--auto-agree-with-licenses"])])
def test_stack_packages_and_live_patch_are_one_command_that_was_tried_before(minion, programs, licenses, more):
    repository(minion)
    minion.live_patch(FIRST)
    packages = ["libzypp", *EIGHT]
    host_with(minion, packages, [advisory("S-1", stack=True), advisory("A-1")], **{LP: TWO})
    rows = "".join(package(name) for name in packages)
    reads(minion, ["list-updates"], f"<stream><update-list>{rows}</update-list></stream>")
    info(minion, S_1=["libzypp"], A_1=["p1"])
    writes(minion, ["install", ...], {"retcode": 103}, changes=True)
    found = update(minion, level=2, licenses=licenses)
    assert found == {
        "changed": {**ALL, "libzypp": UPGRADED, LP: {"old": ONE, "new": TWO}},
        "skipped": [],
        "notes": [],
    }
    tried, done = [argv for argv in programs.started("zypper") if "install" in argv]
    assert done == [part for part in tried if part not in ("--dry-run", "--xmlout")]
    names = sorted([f"{name}=2-1" for name in packages] + [f"{LP}={TWO}"])
    assert done == ["zypper", "--non-interactive", LATER, "install", *more, *names]
    assert [LATER in argv for argv in programs.started("zypper")] == [False] + [True] * 6


def test_a_bad_package_is_left_out_and_the_others_come(minion):
    host_with(minion, EIGHT, bad={"p5": "kernel"}, p5="1-1")
    writes(minion, ["install", ...], changes=True)
    found = update(minion)
    assert sorted(found["changed"]) == [name for name in EIGHT if name != "p5"]
    reason = f"would install kernel-default-5-1; {CURE.format('p5')}"
    assert found["skipped"] == [{"item": "p5", "kind": "package", "reason": reason}]
    assert wrote(minion, "install") == [["install", *[f"{name}=2-1" for name in EIGHT if name != "p5"]]]


@pytest.mark.parametrize(
    ("answer", "notes"),
    [
        ({"retcode": 102}, ["something that was installed asks for a reboot"]),
        ({"retcode": 103, "stdout": recorded("zypper/install-stack.txt")}, []),
        (
            {"retcode": 107, "stdout": recorded("zypper/update-scriptlet-failed.txt")},
            ["installed, but a scriptlet failed: nfs-client-2.1.1-150500.22.3.1.x86_64"],
        ),
    ],
)
def test_what_zypper_says_at_the_end(minion, answer, notes):
    host_with(minion, ["a"])
    writes(minion, ["install", "a=2-1"], answer, changes=True)
    assert update(minion) == {"changed": {"a": UPGRADED}, "skipped": [], "notes": notes}
    assert len(wrote(minion, "install")) == 1 and record("begun") == {}


def test_nothing_pending_starts_nothing_that_writes(minion):
    host_with(minion, ["a"], [advisory("A-1")])
    info(minion, A_1=["a"])
    found = update(minion, exclude=["A-*"])
    assert found["changed"] == {} and {item["item"] for item in found["skipped"]} == {"A-1", "a"}
    assert wrote(minion) == [] and record("begun") is None


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (106, "zypper install: exit 106: repository unknown was skipped"),
        (8, r"zypper install: exit 8 \(a package could not be fetched or installed\)"),
        (4, r"zypper install: exit 4 \(the solver found a problem"),
        (104, r"zypper install: exit 104 \(not found in any repository\)"),
    ],
)
def test_other_exit_codes_end_the_update(minion, code, message):
    host_with(minion, ["a"])
    writes(minion, ["install", "a=2-1"], {"retcode": code}, changes=True)
    with pytest.raises(CommandExecutionError, match=message):
        update(minion)


def test_what_is_missing_afterwards_is_an_error(minion):
    host_with(minion, ["a"], a="1-1")
    writes(minion, ["install", "a=2-1"], changes=True)
    with pytest.raises(CommandExecutionError, match="^zypper install: wanted a 2-1, found 1-1$"):
        update(minion)


def test_a_package_with_an_epoch_is_updated_and_not_missed(minion):
    host_with(minion, [], ep="2-1")
    rpm(minion, {**BASE, "ep": "1-1"}, {**BASE, "ep": "2-1"})
    rows = package("ep", "1:2-1")
    reads(minion, PENDING, f"<stream><update-list>{advisory('A-1')}{rows}</update-list></stream>")
    info(minion, A_1=["ep"])
    writes(minion, ["install", "ep=1:2-1"], changes=True)
    assert update(minion) == {"changed": {"ep": UPGRADED}, "skipped": [], "notes": []}
    assert record("begun") == {}


def test_what_is_still_needed_is_told(minion):
    host_with(minion, ["a", "b"], [advisory("A-1"), advisory("B-1")], bad={"b": "solver"}, b="1-1")
    info(minion, A_1=["a"], B_1=["a", "b", "not-installed"])
    writes(minion, ["install", "a=2-1"], changes=True)
    assert [(item["item"], item["reason"][:22]) for item in update(minion)["skipped"]] == [
        ("b", "cannot be installed he"),
        ("B-1", "still needed after the"),
    ]


# -- a campaign --------------------------------------------------------------------------------------------------------


def test_what_comes_is_compared_with_what_was_shown_right_before_each_write(minion):
    host_with(minion, ["a", "slow"], slow="1-1,2-1")
    rpm(minion, {**BASE, "a": "1-1", "slow": "1-1,2-1"}, {**BASE, "a": "1-1", "slow": "2-1"}, {**BASE, "a": "2-1"})
    reads(minion, PENDING, f"<stream><update-list>{package('a')}</update-list></stream>")
    remembers(minion, "begun", {"slow": "2-1"})
    writes(minion, ["install", ...], changes=True)
    seen = []
    update(minion, check=lambda packages: seen.append((packages, len(wrote(minion, "install")))))
    assert seen == [({"slow": "2-1"}, 0), ({"a": "2-1"}, 1)]


def test_what_was_not_shown_is_not_installed(minion):
    host_with(minion, ["a"])

    def check(packages):
        raise CommandExecutionError(f"not shown: {packages}")

    with pytest.raises(CommandExecutionError, match="^not shown: {'a': '2-1'}$"):
        update(minion, check=check)
    assert wrote(minion, "install") == []


# -- what was cut off --------------------------------------------------------------------------------------------------


def cut_off(minion, begun, *states):
    """A host where nothing is pending, with what was begun and what is installed."""
    host_with(minion)
    rpm(minion, *[{**BASE, **state} for state in states])
    remembers(minion, "begun", begun)


def test_a_package_that_is_there_twice_is_installed_again_first(minion, programs):
    """After a kill between the installation of the new one and the removal of the old one."""
    cut_off(minion, {"slow": "2-1"}, {"slow": "1-1,2-1"}, {"slow": "2-1"})
    reads(minion, ["install", "--dry-run", "--force", "slow=2-1"], recorded("zypper/install-twice.xml"))
    writes(minion, ["install", "--force", "slow=2-1"], changes=True)
    assert klp_updates.changes(klp_updates.plan(minion.host)) == {"slow": {"old": "2-1", "new": "2-1"}}
    assert update(minion) == {
        "changed": {"slow": {"old": "1-1,2-1", "new": "2-1"}},
        "skipped": [],
        "notes": ["installed again, since it was cut off before: slow=2-1"],
    }
    assert record("begun") == {} and len(wrote(minion, "install")) == 1
    assert len([argv for argv in programs.started("zypper") if "--force" in argv and "--dry-run" in argv]) == 1


def test_what_was_not_seen_to_end_is_installed_again_before_the_plan(minion):
    host_with(minion, ["a"])
    rpm(minion, {**BASE, "a": "1-1", "b": "2-1", "c": "1-1"})
    states = [{**BASE, "a": edition, "b": "2-1", "c": "1-1"} for edition in ("1-1", "1-1", "2-1")]
    rpm(minion, *states)
    remembers(minion, "begun", {"b": "2-1", "c": "1-1", "gone": "1-1", "a": "2-1"})
    writes(minion, ["install", ...], {"retcode": 107}, {}, changes=True)
    assert update(minion) == {
        "changed": {"a": UPGRADED},
        "skipped": [],
        "notes": [
            "installed again, since it was cut off before: b=2-1, c=1-1",
            "installed, but a scriptlet failed: zypper does not say of which package",
        ],
    }
    assert wrote(minion, "install") == [["install", "--force", "b=2-1", "c=1-1"], ["install", "a=2-1"]]
    assert record("begun") == {"gone": "1-1"}


def test_what_the_plan_replaces_anyway_is_not_installed_again(minion):
    host_with(minion, ["a"])
    rpm(minion, {**BASE, "a": "0-1,1-1"}, {**BASE, "a": "2-1"})
    remembers(minion, "begun", {"a": "1-1"})
    writes(minion, ["install", "a=2-1"], changes=True)
    found = update(minion)
    assert (found["changed"], found["notes"]) == ({"a": {"old": "0-1,1-1", "new": "2-1"}}, [])
    assert wrote(minion, "install") == [["install", "a=2-1"]] and record("begun") == {}


def test_the_live_patch_that_was_cut_off_is_mended_by_its_own_state(minion):
    cut_off(minion, {LP: ONE, "a": "1-1"}, {LP: ONE, "a": "1-1"})
    writes(minion, ["install", "--force", "a=1-1"])
    assert klp_updates.unfinished(minion.host) == {"a": "1-1"}
    assert update(minion)["notes"] == ["installed again, since it was cut off before: a=1-1"]
    assert record("begun") == {LP: ONE}


def test_what_cannot_be_installed_again_is_named_and_holds_up_nothing(minion):
    host_with(minion, ["a"], bad={"kernel-default": "kernel"}, apart=["locked", "locked"])
    states = [{**BASE, "a": edition, "b": "1-1", "locked": "1-1"} for edition in ("1-1", "1-1", "2-1")]
    rpm(minion, *states)
    kernel = BASE["kernel-default"]
    remembers(minion, "begun", {"b": "1-1", "locked": "1-1", "kernel-default": kernel})
    writes(minion, ["install", ...], changes=True)
    assert update(minion)["notes"] == [
        "installed again, since it was cut off before: b=1-1",
        f"{LOST}kernel-default={kernel}: would install kernel-default-5-1, upgrade kernel-default-{kernel}",
        f"{LOST}locked=1-1: {REFUSED['solver'][2]}",
    ]
    assert wrote(minion, "install") == [["install", "--force", "b=1-1"], ["install", "a=2-1"]]
    assert record("begun") == {"kernel-default": kernel, "locked": "1-1"}


def test_where_nothing_of_it_can_be_installed_again_no_zypper_is_started_for_it(minion):
    cut_off(minion, {"locked": "1-1"}, {"locked": "1-1"})
    reads(minion, ["install", ...], {"retcode": 4, "stdout": recorded("zypper/install-kernel-locked.xml")})
    (note,) = update(minion)["notes"]
    assert note == f"{LOST}locked=1-1: cannot be installed here: Problem: conflicting requests"
    assert wrote(minion) == []


def test_an_edition_that_no_repository_has_any_more_cannot_be_installed_again(minion):
    """zypper ends well and has nothing to do (measured)."""
    cut_off(minion, {"slow": "2-1"}, {"slow": "2-1"})
    reads(minion, ["install", "--dry-run", "--force", "slow=2-1"], recorded("zypper/install-not-in-a-repository.xml"))
    writes(minion, ["install", "--force", "slow=2-1"])
    assert update(minion) == {
        "changed": {},
        "skipped": [],
        "notes": [
            f"{LOST}slow=2-1: no repository has this edition any more; install another one",
        ],
    }
    assert record("begun") == {"slow": "2-1"}


def test_a_zypper_that_fails_while_it_mends_ends_the_update(minion):
    cut_off(minion, {"a": "1-1"}, {"a": "1-1"})
    reads(minion, ["install", "--dry-run", "--force", "a=1-1"], dry("reinstall", "a=1-1"))
    writes(minion, ["install", "--force", "a=1-1"], {"retcode": 8})
    with pytest.raises(CommandExecutionError, match="exit 8"):
        update(minion)
    assert record("begun") == {"a": "1-1"}


def test_a_record_of_another_form_is_an_error_that_names_the_file(minion):
    host_with(minion, ["a"])
    remembers(minion, "begun", {"a": [1]})
    with pytest.raises(CommandExecutionError, match="begun.json: not what salt-klp wrote; repair it or move it away$"):
        update(minion)
    assert wrote(minion) == []


def test_the_live_patch_alone_is_one_command_too(minion):
    repository(minion)
    host_with(minion, [], **{LP: THREE})
    writes(minion, ["install", f"{LP}={THREE}"], changes=True)
    found = update(minion, level=3)
    assert found == {"changed": {LP: {"old": ONE, "new": THREE}}, "skipped": [], "notes": []}
