"""A failed scriptlet is remembered until it is cured, and nothing but a cure makes it forgotten."""

import os

import pytest
from salt.exceptions import CommandExecutionError

import klp_paths
import zypp_scriptlets
from tests.unit.hosts import dry, reads, record, remembers, rpm, writes

WHOLE = "nfs-client-2.1.1-150500.22.3.1.x86_64"
EDITION = "2.1.1-150500.22.3.1"
ITEM = {"edition": EDITION, "time": 1, "log": 0}
SAID = f"warning: %post({WHOLE}) scriptlet failed, exit status 3\n"
INSTALLED = f"2026-11-28 23:40:49|install|nfs-client|{EDITION}|x86_64|root@sles1|Updates|2cdf|\n"
OTHER = "2026-11-28 23:40:50|install|curl|8.0.1-1|x86_64|root@sles1|Updates|4176|\n"
COMMAND = "2026-11-28 23:40:49|command|root@sles1|'zypper' 'in' '--force' 'nfs-client'|\n"
GOOD = f"# 2026-11-28 23:40:49 {WHOLE}.rpm installed ok\n# Additional rpm output:\n# \n{INSTALLED}"
BAD = f"# 2026-11-28 23:40:49 {WHOLE}.rpm installed ok\n# Additional rpm output:\n# {SAID}# \n{INSTALLED}"


def install(minion, code=0, text=""):
    """Install nfs-client, or install it again, with what zypper says."""
    reads(minion, ["install", "--dry-run", "nfs-client"], dry("reinstall", f"nfs-client={EDITION}"))
    writes(minion, ["install", "nfs-client"], {"retcode": code, "stdout": text}, changes=True)
    return minion.salt["zypper.install"](["nfs-client"])


@pytest.mark.parametrize(
    ("whole", "name", "edition"),
    [
        (WHOLE, "nfs-client", EDITION),
        ("a-b-1.0-2.noarch", "a-b", "1.0-2"),
        ("ep-1:2.0-1.1.x86_64", "ep", "2.0-1.1"),
        ("x", "x", ""),
    ],
)
def test_a_package_as_rpm_names_it(whole, name, edition):
    assert zypp_scriptlets.split(whole) == (name, edition)


def test_a_failure_is_remembered_and_told_until_the_same_edition_comes_without_one(minion):
    rpm(minion, {"nfs-client": EDITION})
    minion.file(klp_paths.HISTORY, "x" * 100)
    assert install(minion, 107, SAID)["notes"] == [f"installed, but a scriptlet failed: {WHOLE}"]
    assert record("scriptlets") == {"nfs-client": {"edition": EDITION, "time": 1_700_000_000, "log": 100}}
    assert record("begun") == {} and zypp_scriptlets.failed(minion.host) == {"nfs-client": EDITION}
    install(minion, 102)
    assert record("scriptlets") == {} and zypp_scriptlets.failed(minion.host) == {}


def test_a_script_at_the_end_of_all_is_told_by_no_exit_code(minion):
    rpm(minion, {"nfs-client": EDITION})
    said = f"Warning: {WHOLE}.rpm %posttrans script failed (returned 7)\n"
    assert install(minion, 0, said)["notes"] == [f"installed, but a scriptlet failed: {WHOLE}"]
    assert zypp_scriptlets.failed(minion.host) == {"nfs-client": EDITION}


@pytest.mark.parametrize("code", [0, 102, 103])
def test_what_rpm_says_counts_whatever_the_exit_code(minion, code):
    """One exit code of zypper hides another (measured)."""
    rpm(minion, {"nfs-client": EDITION})
    install(minion, code, SAID)
    assert zypp_scriptlets.failed(minion.host) == {"nfs-client": EDITION}


def test_where_zypper_names_no_package_it_may_be_any(minion):
    rpm(minion, {"nfs-client": EDITION})
    install(minion, 107)
    assert zypp_scriptlets.failed(minion.host) == {"nfs-client": EDITION}


@pytest.mark.parametrize(
    ("installed", "left"),
    [
        ({"nfs-client": EDITION}, True),
        ({"nfs-client": f"1-1,{EDITION}"}, True),
        ({"nfs-client": "3-1"}, False),
        ({}, False),
    ],
    ids=["the same", "twice", "another edition", "removed"],
)
def test_another_edition_or_none_is_a_cure(minion, installed, left):
    rpm(minion, installed)
    remembers(minion, "scriptlets", {"nfs-client": ITEM})
    assert bool(zypp_scriptlets.failed(minion.host)) is left


def test_a_script_of_the_edition_that_was_replaced_is_one_of_the_new_edition(minion):
    rpm(minion, {"nfs-client": EDITION})
    install(minion, 107, "warning: %postun(nfs-client-2.1.1-150500.20.1.x86_64) scriptlet failed, exit status 1\n")
    assert record("scriptlets")["nfs-client"]["edition"] == EDITION and len(record("scriptlets")) == 1


def test_a_script_of_a_package_that_is_gone_is_nothing_to_cure(minion):
    rpm(minion, {"nfs-client": EDITION})
    install(minion, 107, "warning: %postun(gone-1-1.x86_64) scriptlet failed, exit status 1\n")
    assert record("scriptlets") is None


@pytest.mark.parametrize(
    ("log", "cured"),
    [
        ("", False),
        (COMMAND + GOOD, True),
        (COMMAND + BAD, False),
        (BAD + GOOD, True),
        (GOOD + BAD, False),
        (GOOD + f"# {SAID}", False),  # %posttrans, at the end of all
        (
            GOOD + f"# 2026-11-29 00:03:24 {WHOLE}.rpm %posttrans script failed (returned 7)\n",
            False,
        ),  # by libzypp itself
        (BAD + OTHER + GOOD, True),
        (f"# {SAID}{OTHER}" + GOOD, True),
        (OTHER, False),
        (GOOD.replace(EDITION, "9-1"), False),
        (GOOD.replace("|install|", "|remove |"), False),
        ("a|b\n||||\n\x00\xff#", False),
    ],
)
def test_that_somebody_else_has_installed_it_again_is_read_in_the_log(minion, log, cured):
    rpm(minion, {"nfs-client": EDITION})
    remembers(minion, "scriptlets", {"nfs-client": dict(ITEM, log=len(GOOD))})
    minion.file(klp_paths.HISTORY, GOOD + log)
    assert (zypp_scriptlets.failed(minion.host) == {}) is cured


def test_a_log_that_was_begun_anew_is_read_from_its_begin(minion):
    rpm(minion, {"nfs-client": EDITION})
    remembers(minion, "scriptlets", {"nfs-client": dict(ITEM, log=10**6)})
    assert zypp_scriptlets.failed(minion.host) == {"nfs-client": EDITION}  # no log at all
    minion.file(klp_paths.HISTORY, GOOD)
    assert zypp_scriptlets.failed(minion.host) == {}


def test_without_a_record_no_program_is_started(minion, programs):
    assert zypp_scriptlets.failed(minion.host) == {} and programs.calls == []


def test_the_newest_are_kept(minion, monkeypatch):
    monkeypatch.setattr(zypp_scriptlets, "MOST", 2)
    rpm(minion, {"nfs-client": EDITION, "old": "1-1", "older": "1-1"})
    remembers(
        minion,
        "scriptlets",
        {name: {"edition": "1-1", "time": age, "log": 0} for name, age in (("old", 2), ("older", 1))},
    )
    install(minion, 107, SAID)
    assert set(record("scriptlets")) == {"nfs-client", "old"}


@pytest.mark.parametrize(
    "value",
    [
        {"a": []},
        {"a": dict(ITEM, more=1)},
        {"a": dict(ITEM, log="0")},
        {"a": dict(ITEM, time=True)},
        {"-a": ITEM},
        {"a:b": ITEM},
        {"a": dict(ITEM, edition="--x")},
        ["a"],
    ],
)
def test_a_damaged_record_is_an_error_before_anything_is_installed(minion, value):
    rpm(minion, {"nfs-client": EDITION})
    remembers(minion, "scriptlets", value)
    sentence = "scriptlets.json: not what salt-klp wrote; repair it or move it away$"
    with pytest.raises(CommandExecutionError, match=sentence):
        zypp_scriptlets.failed(minion.host)
    with pytest.raises(CommandExecutionError, match=sentence):
        install(minion)
    assert record("begun") is None and not os.path.exists(klp_paths.HISTORY)


def test_a_kill_after_the_record_leaves_both(minion, monkeypatch):
    """The record comes before the transaction counts as ended."""
    rpm(minion, {"nfs-client": EDITION})

    def killed(names):
        raise KeyboardInterrupt

    monkeypatch.setattr("zypp_begun.end", killed)
    with pytest.raises(KeyboardInterrupt):
        install(minion, 107, SAID)
    assert record("begun") == {"nfs-client": EDITION} and set(record("scriptlets")) == {"nfs-client"}
