"""Live patches that their vendor has withdrawn: what is known of them, where from, and what is done with them."""

import os

import pytest
from salt.exceptions import CommandExecutionError

import klp_checks
import klp_install
import klp_level
import klp_paths
import klp_retracted
import klp_rollback
import klp_summary
import klp_updates
from tests.unit.conftest import LP
from tests.unit.hosts import (
    ONE,
    PENDING,
    SEARCH,
    THREE,
    TWO,
    advisory,
    has,
    reads,
    remembers,
    repository,
    updateinfo,
    wrote,
)
from tests.unit.loader import recorded

GONE = "live patch {} was withdrawn by its vendor (retracted: {})"
ALL = f"{THREE}, {TWO}, {ONE}"
BUT_FOR = "but for what its vendor has withdrawn"
LEAVE = "salt h state.apply klp.rollback, or with klp.patch once a newer one is there"
LIST = ["list-patches", "--all"]
UPDATE = '<update kind="patch" name="{}" status="{}"/>'
LISTED = f"<stream><update-status><update-list>{UPDATE}</update-list></update-status></stream>"


def gone(*packages, ident="R-1"):
    return advisory(ident, *packages, status="retracted")


def withdraw(minion, *editions):
    """Let a repository have the live patches 1, 2 and 3, and its vendor withdraw some."""
    repository(minion)
    updateinfo(minion, "a", *[gone(f"{LP}={edition}", ident=f"R-{edition[0]}") for edition in editions])


def of(minion, edition, **kwargs):
    found = klp_retracted.of(minion.host, edition, **kwargs)
    return found["retracted"], found["advisories"], found["reason"]


# -- what is known -----------------------------------------------------------------------------------------------------


def test_it_is_known_without_a_program(minion, programs):
    updateinfo(minion, "a", gone(f"{LP}={TWO}", f"{LP}-debuginfo={TWO}"), gone(f"{LP}={TWO}", ident="R-2"))
    assert of(minion, TWO) == (True, ["R-1", "R-2"], None)
    assert of(minion, THREE) == (False, [], None)
    assert programs.calls == []


def test_a_repository_that_is_new_or_changes_is_read_again(minion):
    updateinfo(minion, "a", advisory("A-1", f"{LP}={TWO}"))
    assert of(minion, TWO)[0] is False
    path = updateinfo(minion, "b", gone(f"{LP}={TWO}"))
    assert of(minion, TWO)[0] is True
    os.unlink(path)
    updateinfo(minion, "b")
    assert of(minion, TWO)[0] is False
    minion.file(f"{klp_paths.REPOSITORIES}/b.repo", "[b]\nenabled=0\n")
    updateinfo(minion, "a", gone(f"{LP}={TWO}"), gone(f"{LP}={ONE}"))
    assert (of(minion, TWO)[0], of(minion, ONE)[0]) == (True, True)


def test_what_was_read_is_remembered(minion, monkeypatch):
    updateinfo(minion, "a", gone(f"{LP}={TWO}"))
    assert of(minion, TWO)[0] is True
    monkeypatch.setattr(klp_retracted, "_read", None)
    assert of(minion, TWO)[0] is True


def test_without_advisories_of_live_patches_nothing_is_known(minion, programs):
    updateinfo(minion, "a", advisory("A-1", "curl=1-1"))
    reason = f"no enabled repository has advisories of live patches: whether {TWO} was withdrawn is not known"
    assert of(minion, TWO) == (None, [], reason)
    minion.file(f"{klp_paths.REPOSITORIES}/a.repo", "[a]\nenabled=0\n")
    assert of(minion, TWO)[2].startswith("no enabled repositories in /etc/zypp/repos.d")
    assert programs.calls == []


def test_zypper_is_asked_for_what_python_cannot_read(minion, programs):
    updateinfo(minion, "a", advisory("A-1", f"{LP}={TWO}"))
    updateinfo(minion, "b", end=".xml.zst")
    reads(minion, LIST, LISTED.format("R-1", "retracted"))
    reads(minion, ["info", "--type", "patch", "R-1"], f"Name : R-1\nConflicts : [1]\n  {LP} < {TWO}\n", xml=False)
    assert of(minion, TWO, quick=True) == (None, [], klp_retracted.NOT_READ.format("b"))
    assert programs.calls == []
    assert of(minion, TWO) == (True, ["R-1"], None)
    assert of(minion, THREE, quick=True) == (False, [], None)
    assert len(programs.started("zypper")) == 2


@pytest.mark.parametrize(("found", "known"), [("search-conflicts.xml", False), ("search-nothing.xml", None)])
def test_zypper_says_whether_there_are_advisories_of_live_patches(minion, found, known):
    minion.file(f"{klp_paths.REPOSITORIES}/a.repo", "[a]\n")  # its metadata were never fetched
    reads(minion, LIST, LISTED.format("A-1", "needed"))
    reads(minion, ["search", "--type", "patch", "--conflicts", "kernel-livepatch-*"], recorded(f"zypper/{found}"))
    assert of(minion, TWO)[0] is known


def test_an_error_of_zypper_is_not_remembered(minion):
    minion.file(f"{klp_paths.REPOSITORIES}/a.repo", "[a]\n")
    reads(minion, LIST, {"retcode": 106})
    for _ in range(2):
        with pytest.raises(CommandExecutionError, match="zypper list-patches: exit 106"):
            of(minion, TWO)


def test_who_waits_for_less_than_a_second_reads_no_large_files(minion, monkeypatch):
    updateinfo(minion, "a", gone(f"{LP}={TWO}"))
    monkeypatch.setattr(klp_retracted, "QUICK", 10)
    assert of(minion, TWO, quick=True) == (None, [], klp_retracted.NOT_READ.format("a"))
    assert of(minion, TWO)[0] is True
    assert of(minion, TWO, quick=True)[0] is True


# -- what is done with it ----------------------------------------------------------------------------------------------


def test_klp_available_marks_it(minion):
    withdraw(minion, THREE)
    marks = {item["edition"]: item["retracted"] for item in minion.salt["klp.available"]()}
    assert marks == {THREE: True, TWO: False, ONE: False}


LEVELS = [
    # withdrawn, installed, held, level, edition
    ([THREE], None, None, "latest", TWO),
    ([THREE], ONE, None, "latest", TWO),
    ([THREE], TWO, None, "latest", TWO),
    ([THREE, TWO], ONE, None, "latest", ONE),
    ([THREE], THREE, None, "latest", THREE),  # what is installed stays
    ([THREE], THREE, None, 3, THREE),
    ([TWO], ONE, TWO, "latest", ONE),
    ([TWO], TWO, TWO, "latest", TWO),
    ([ONE], ONE, TWO, "latest", TWO),
    ([TWO], None, TWO, "latest", ONE),
]


def stands(minion, withdrawn, installed, held):
    """Let a host have a live patch, be held at one, and some be withdrawn."""
    has(minion, installed)
    withdraw(minion, *withdrawn)
    if held:
        remembers(minion, "hold", {"package": LP, "edition": held, "from": THREE, "since": 1, "locks": []})


@pytest.mark.parametrize(("withdrawn", "installed", "held", "level", "edition"), LEVELS)
def test_no_level_means_one_that_was_withdrawn(minion, withdrawn, installed, held, level, edition):
    stands(minion, withdrawn, installed, held)
    assert klp_level.resolve(minion.host, level) == edition


@pytest.mark.parametrize(
    ("withdrawn", "level", "which", "rest"),
    [
        ([THREE], 3, THREE, f"the next good one is {TWO}"),
        ([THREE, TWO], THREE, THREE, f"the next good one is {ONE}"),
        ([TWO], 2, TWO, f"the next good one is {ONE} or {THREE}"),
        ([THREE, TWO, ONE], "latest", THREE, "there is no good one"),
        ([TWO, ONE], 1, ONE, f"the next good one is {THREE}"),
    ],
)
def test_its_level_is_refused_with_the_next_good_one(minion, withdrawn, level, which, rest):
    has(minion, None)
    withdraw(minion, *withdrawn)
    with pytest.raises(CommandExecutionError) as error:
        klp_level.resolve(minion.host, level)
    said = GONE.format(which, f"R-{which[0]}")
    assert str(error.value) == f"{said} and is not installed; {rest}"


def test_a_host_held_at_one_with_nothing_good_below(minion):
    stands(minion, [ONE, TWO], None, TWO)
    with pytest.raises(CommandExecutionError, match=f"live patch {TWO} was withdrawn .*; the next good one is {THREE}"):
        klp_level.resolve(minion.host)


WAYS_BACK = [
    # withdrawn, installed, held, level, edition
    ([TWO], THREE, None, "previous", ONE),
    ([THREE], THREE, None, "previous", TWO),
    ([TWO], TWO, TWO, "previous", ONE),  # held at one that was withdrawn since
    ([TWO], THREE, TWO, "previous", ONE),  # begun, and withdrawn before it was finished
    ([THREE], THREE, None, 2, TWO),
    ([ONE], TWO, TWO, "previous", TWO),
]


@pytest.mark.parametrize(("withdrawn", "installed", "held", "level", "edition"), WAYS_BACK)
def test_the_way_back_passes_over_it(minion, withdrawn, installed, held, level, edition):
    stands(minion, withdrawn, installed, held)
    assert klp_rollback.resolve(minion.host, level) == edition


NO_WAYS_BACK = [
    ([TWO], THREE, None, 2, f"{GONE.format(TWO, 'R-2')} and is not installed; the next good one is {ONE} or {THREE}"),
    ([TWO], THREE, TWO, TWO, f"{GONE.format(TWO, 'R-2')} and is not installed; the next good one is {ONE} or {THREE}"),
    ([THREE], THREE, None, 3, f"{GONE.format(THREE, 'R-3')} and is not installed; the next good one is {TWO}"),
    (
        [TWO, ONE],
        THREE,
        None,
        "previous",
        f"no repository has a live patch below the installed {THREE}, {BUT_FOR}: {TWO}, {ONE}; has: {ALL}",
    ),
]


@pytest.mark.parametrize(("withdrawn", "installed", "held", "level", "text"), NO_WAYS_BACK)
def test_no_way_back_leads_onto_it(minion, withdrawn, installed, held, level, text):
    has(minion, installed)
    withdraw(minion, *withdrawn)
    if held:
        remembers(minion, "hold", {"package": LP, "edition": held, "from": THREE, "since": 1, "locks": []})
    with pytest.raises(CommandExecutionError) as error:
        klp_rollback.resolve(minion.host, level)
    assert str(error.value) == text


@pytest.mark.parametrize("way", [klp_install.install_edition, klp_rollback.downgrade_to])
def test_it_is_not_installed_again_either(minion, way, monkeypatch):
    has(minion, THREE)
    minion.live_patch("livepatch_1_150500_9_3_1")
    withdraw(minion, THREE)
    for module in (klp_install, klp_rollback):
        monkeypatch.setattr(module.klp_preflight, "require", lambda host: None)
        monkeypatch.setattr(module.klp_live, "tool_is_there", lambda host: False)
    with pytest.raises(CommandExecutionError, match=f"{THREE} was withdrawn by its vendor .* and is not installed"):
        way(minion.host, THREE)
    assert wrote(minion) == []


def test_updates_that_hold_it_bring_nothing_where_there_is_no_good_one(minion, programs):
    """Not every libsolv marks withdrawn packages: then list-updates has them."""
    has(minion, TWO)
    withdraw(minion, THREE)
    assert THREE in recorded("zypper/list-updates.xml")
    assert klp_updates.live_patch_change(minion.host, "latest") == {}
    searched = [argv for argv in programs.calls if argv[-1] == SEARCH[-1] and "search" in argv]
    assert (len(searched), len([argv for argv in programs.calls if PENDING[0] in argv])) == (1, 1)


def preview(minion, monkeypatch, *changes):
    found = {"packages": {}, "live_patch": dict(changes), "reload": {}, "unfinished": {}, "skipped": []}
    monkeypatch.setattr(klp_updates, "plan", lambda host, level=None: found)
    answer: dict = {"package": LP, "live_patch": THREE, "changes": {}, "target": None}
    klp_summary._patch(minion.host, answer)
    return answer["target"]


def test_a_plan_names_a_host_that_would_stay_on_it(minion, monkeypatch):
    has(minion, THREE)
    withdraw(minion, THREE)
    with pytest.raises(CommandExecutionError) as error:
        preview(minion, monkeypatch)
    assert str(error.value) == (
        f"{GONE.format(THREE, 'R-3')}, and no newer one is there: a run would end as failed; first leave it with: "
        "salt sles1 state.apply klp.rollback"
    )
    assert preview(minion, monkeypatch, (LP, {"old": THREE, "new": "4-1.1"})) == "4-1.1"


def state(retracted, ids=(), read=True, reason=None):
    return {"retracted": retracted, "advisories": list(ids), "read": read, "reason": reason}


@pytest.mark.parametrize(
    ("edition", "found", "verdict", "detail"),
    [
        (None, state(None), "skipped", "no live patch of the running kernel is installed"),
        (ONE, state(False), "ok", f"{ONE} was not withdrawn"),
        (ONE, state(None, reason="none has any"), "skipped", "none has any"),
        (ONE, state(None, read=False, reason="cannot be read"), "unknown", "cannot be read"),
        (
            ONE,
            state(True, ["R-1"]),
            "failed",
            f"{GONE.format(ONE, 'R-1')}; leave it with: {LEAVE}",
        ),
    ],
)
def test_the_check(edition, found, verdict, detail):
    said = klp_retracted.withdrawn(edition, found["advisories"])
    assert klp_checks.retracted(edition, found, said, "h") == klp_checks.check("retracted", verdict, detail)
