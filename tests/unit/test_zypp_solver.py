"""What repositories have and what zypper would do: one state of the metadata, few questions, no wrong "nothing"."""

import os

import pytest
from salt.exceptions import CommandExecutionError, SaltInvocationError

import klp_paths
import zypp_parse
import zypp_solver
from tests.unit.conftest import HINTS, LP
from tests.unit.hosts import LATER, PENDING, SEARCH, THREE, dry, reads
from tests.unit.loader import recorded

READ = ["zypper", "--non-interactive", "--xmlout"]
WRITE = ["zypper", "--non-interactive"]
BASE = "SUSE-SLE-Module-Basesystem-15-SP5-2023-"
LIVE = "SUSE-SLE-Module-Live-Patching-15-SP5-2023-"
NEEDED = sorted([BASE + n for n in "2871 3210 3242 3300 3310 3410 3500".split()] + [LIVE + "3001", LIVE + "3179"])
STACK = BASE + "2990"


# -- repositories ------------------------------------------------------------------------------------------------------


def test_enabled_repositories_are_read_from_their_files(minion, programs):
    minion.file(f"{klp_paths.REPOSITORIES}/b.repo", "[b]\nenabled=1\n[c]\nenabled=0\n")
    minion.file(f"{klp_paths.REPOSITORIES}/a.repo", "[a]\n")
    minion.file(f"{klp_paths.REPOSITORIES}/a.repo.rpmsave", "[x]\n")
    os.symlink("nowhere", f"{klp_paths.REPOSITORIES}/d.repo")
    assert zypp_solver.repositories() == ["a", "b"]
    assert programs.calls == []


def test_without_a_folder_there_are_no_repositories(minion):
    os.rmdir(klp_paths.REPOSITORIES)
    assert zypp_solver.repositories() == []


def test_a_refresh_reads_all_repositories(minion, programs):
    minion.file(f"{klp_paths.REPOSITORIES}/a.repo", "[a]\n")
    programs.on(WRITE + ["refresh"], recorded("zypper/refresh.txt"))
    assert minion.salt["zypper.refresh"]() == ["a"]


def test_a_refresh_without_repositories_says_what_to_do(minion, programs):
    with pytest.raises(CommandExecutionError, match="^no enabled repositories in .*zypper mr -e ALIAS$"):
        minion.salt["zypper.refresh"]()
    assert programs.calls == []


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (
            {"retcode": 4, "stdout": recorded("zypper/refresh-broken.txt")},
            r"repository gone cannot be read \(zypper exit 4\)",
        ),
        ({"stderr": "Skipping repository 'gone' because of the above error."}, "repository gone cannot be read"),
        ({"retcode": 4, "stderr": "no key"}, r"repository unknown cannot be read \(zypper exit 4\): no key"),
        (
            {"retcode": 6, "stdout": recorded("zypper/refresh-no-repositories.txt")},
            r"zypper refresh: exit 6 \(no repositories are defined\): Warning: There are no enabled repositories",
        ),
    ],
)
def test_a_repository_that_cannot_be_read_is_named(minion, programs, answer, message):
    minion.file(f"{klp_paths.REPOSITORIES}/a.repo", "[a]\n")
    programs.on(WRITE + ["refresh"], answer)
    host = minion.host
    with pytest.raises(CommandExecutionError, match=message):
        zypp_solver.refresh(host)
    assert host.fresh is False


# -- one state of the metadata -----------------------------------------------------------------------------------------


def test_only_the_first_zypper_of_a_job_refreshes(minion, programs):
    reads(minion, PENDING, recorded("zypper/list-updates-both.xml"))
    reads(minion, SEARCH, recorded("zypper/search-live-patch.xml"))
    reads(minion, ["install", ...], recorded("zypper/install-plan.xml"))
    host = minion.host
    zypp_solver.advisories(host)
    zypp_solver.editions(host, LP)
    zypp_solver.dry_run(host, ["a"])
    assert [argv[3:5] for argv in programs.calls] == [
        ["list-updates", "--type"],
        [LATER, "search"],
        [LATER, "install"],
    ]


def test_no_zypper_refreshes_after_a_refresh(minion, programs):
    minion.file(f"{klp_paths.REPOSITORIES}/a.repo", "[a]\n")
    programs.on(WRITE + ["refresh"], recorded("zypper/refresh.txt"))
    programs.on([*READ, LATER, *PENDING], recorded("zypper/list-updates-both.xml"))
    host = minion.host
    zypp_solver.refresh(host)
    zypp_solver.advisories(host)
    assert [argv[2:4] for argv in programs.calls] == [["refresh"], ["--xmlout", LATER]]


def test_a_zypper_that_failed_has_refreshed_nothing(minion, programs):
    skipped = {"retcode": 106, "stdout": recorded("zypper/list-updates-repository-skipped.xml")}
    reads(minion, PENDING, skipped, recorded("zypper/list-updates-both.xml"))
    host = minion.host
    with pytest.raises(CommandExecutionError, match=r"(?s)exit 106 .*Skipping repository 'gone'"):
        zypp_solver.advisories(host)
    zypp_solver.advisories(host)
    assert [LATER in argv for argv in programs.calls] == [False, False]


# -- advisories and updates --------------------------------------------------------------------------------------------


def test_needed_and_optional_advisories_are_listed(minion):
    text = recorded("zypper/list-updates-both.xml").replace(
        '2023-3310" edition="1" arch="noarch" status="optional"',
        '2023-3310" edition="1" arch="noarch" status="applied"',
    )
    reads(minion, PENDING, text)
    found = [item["id"] for item in minion.salt["zypper.advisories"]()]
    assert sorted(found) == [name for name in NEEDED if name != BASE + "3310"]


def test_advisories_and_updates_are_one_call(minion, programs):
    reads(minion, PENDING, recorded("zypper/list-updates-both.xml"))
    host = minion.host
    found = zypp_solver.advisories(host)
    assert sorted(item["id"] for item in found) == NEEDED
    updates = zypp_solver.updates(host)
    assert updates[LP] == {"old": "1-150500.9.3.1", "new": THREE} and "libz1" in updates and "libzypp" not in updates
    assert {item["repository"] for item in found} == {
        "SLE-Product-SLES15-SP5-Updates",
        "SLE-Module-Live-Patching15-SP5-Updates",
    }
    assert len(programs.calls) == 1


def test_while_the_update_stack_waits_the_packages_are_asked_for_by_a_second_call(minion, programs):
    """Measured: zypper lists the advisories that wait apart, and no packages at all."""
    reads(minion, PENDING, recorded("zypper/list-updates-both-stack-pending.xml"))
    reads(minion, ["list-updates"], recorded("zypper/list-updates-locked.xml"))
    host = minion.host
    for _ in range(2):
        assert sorted(item["id"] for item in zypp_solver.advisories(host)) == sorted([*NEEDED, STACK])
        assert "libzypp" in zypp_solver.updates(host) and "curl" in zypp_solver.updates(host)
    assert [argv[3:] for argv in programs.calls] == [PENDING, [LATER, "list-updates"]]


ADVISORY = '<update kind="patch" name="A-1" status="{}" category="security" severity="low" pkgmanager="{}"/>'


@pytest.mark.parametrize(
    ("status", "stack", "more", "calls"),
    [
        ("needed", "true", "", 2),
        ("optional", "true", "", 2),
        ("needed", "false", "<blocked-update-list/>", 2),
        ("applied", "false", f"<blocked-update-list>{ADVISORY.format('needed', 'false')}</blocked-update-list>", 2),
        ("needed", "false", "", 1),
        ("applied", "true", "", 1),
        ("not-needed", "true", "", 1),
    ],
)
def test_only_a_pending_update_stack_hides_packages(minion, programs, status, stack, more, calls):
    package = '<update kind="package" name="a" edition="2-1" edition-old="1-1"/>'
    listed = ADVISORY.format(status, stack) + (package if calls == 1 else "")
    reads(minion, PENDING, f"<stream><update-list>{listed}</update-list>{more}</stream>")
    reads(minion, ["list-updates"], f"<stream><update-list>{package}</update-list></stream>")
    assert zypp_solver.updates(minion.host) == {"a": {"old": "1-1", "new": "2-1"}}
    assert len(programs.calls) == calls


@pytest.mark.parametrize("text", ["", "<stream/>", recorded("zypper/lock-held.xml")])
def test_an_answer_without_a_list_is_never_nothing(minion, text):
    reads(minion, PENDING, text)
    for call in (zypp_solver.advisories, zypp_solver.updates):
        with pytest.raises(CommandExecutionError, match="not XML|no update-list in the answer"):
            call(minion.host)


# -- editions and dry runs ---------------------------------------------------------------------------------------------


def test_editions_of_a_package(minion):
    reads(minion, SEARCH, recorded("zypper/search-live-patch.xml"))
    nothing = {"retcode": 104, "stdout": recorded("zypper/search-nothing.xml")}
    reads(minion, [*SEARCH[:-1], "no-such-package"], nothing)
    assert [item["edition"][0] for item in minion.salt["zypper.editions"](LP)] == ["3", "2", "1"]
    assert minion.salt["zypper.editions"]("no-such-package") == []


def test_editions_do_not_depend_on_locks_but_a_dry_run_does(minion, programs):
    reads(minion, SEARCH, recorded("zypper/search-live-patch.xml"))
    reads(minion, ["update", "--dry-run", "curl"], recorded("zypper/update-nothing.xml"))
    host = minion.host
    for text in ("", "changed"):
        minion.file(klp_paths.LOCKS, text)
        zypp_solver.editions(host, LP)
        zypp_solver.dry_run(host, ["curl"], "update")
    assert [[part for part in argv if part != LATER][3] for argv in programs.calls] == ["search", "update", "update"]


def test_a_dry_run_of_each_command(minion):
    reads(minion, ["install", "--dry-run", LP], recorded("zypper/install-live-patch.xml"))
    reads(minion, ["update", "--dry-run", "curl"], recorded("zypper/update-nothing.xml"))
    reads(minion, ["install", "--oldpackage", "--dry-run", LP], recorded("zypper/downgrade-live-patch.xml"))
    assert minion.salt["zypper.dry_run"]([LP])["upgrade"][0]["edition"] == THREE
    assert minion.salt["zypper.dry_run"](["curl"], "update")["nothing"] is True
    assert minion.salt["zypper.dry_run"]([LP], "downgrade")["downgrade"][0]["name"] == LP
    assert set(minion.salt["zypper.dry_run"]([LP])) == {*zypp_parse.ACTIONS, "nothing"}


def test_a_dry_run_of_another_command_is_refused(minion):
    with pytest.raises(SaltInvocationError, match="command: wanted install, update or downgrade, found 'remove'"):
        minion.salt["zypper.dry_run"](["curl"], "remove")


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (
            {"retcode": 4, "stdout": recorded("zypper/install-kernel-locked.xml")},
            r"exit 4 \(the solver found .*conflicting",
        ),
        ({"retcode": 104, "stdout": recorded("zypper/install-not-found.xml")}, "exit 104 .*No provider of 'curl'"),
        (
            {"retcode": 106, "stdout": recorded("zypper/list-updates-repository-skipped.xml")},
            "Skipping repository 'gone'",
        ),
        ({"stdout": "<stream/>"}, "no install summary"),
        ({"stdout": "text"}, "not XML"),
    ],
)
def test_a_dry_run_that_is_none_is_an_error(minion, answer, message):
    answer = dict(answer, stdout=answer["stdout"].replace("no-such-package", "curl"))
    reads(minion, ["install", "--dry-run", "curl"], answer)
    with pytest.raises(CommandExecutionError, match=r"(?s)" + message):
        minion.salt["zypper.dry_run"](["curl"])


@pytest.mark.parametrize("code", [0, 102, 103])
def test_a_dry_run_may_ask_for_a_reboot_or_to_be_run_again(minion, code):
    reads(minion, ["install", "--dry-run", "a"], {"retcode": code, "stdout": dry("install", "a=1-1")})
    assert [item["name"] for item in minion.salt["zypper.dry_run"](["a"])["install"]] == ["a"]


def test_patience_comes_from_the_pillar(minion, programs):
    minion.pillar["klp"] = {"zypper": {"timeout": 100, "lock_timeout": 7}}
    reads(minion, PENDING, recorded("zypper/list-updates-both.xml"))
    minion.salt["zypper.advisories"]()
    (options,) = programs.options
    assert options["timeout"] == 107 and options["env"] == {"LC_ALL": "C", "ZYPP_LOCK_TIMEOUT": "7"}
    assert (options["stdin"], options["python_shell"], options["ignore_retcode"]) == ("", False, True)


# -- what asks for a reboot --------------------------------------------------------------------------------------------

HINTED = {("hinted", "2.0-1.1"), ("newhint", "1:2.0-1.1"), ("noarchd", "1-1"), ("oldhint", "1.0-1.1")}
HINTED |= {("kernel-default", f"5.14.21-150500.55.{number}.1") for number in (7, 12)}
OWN = ["installhint(reboot-needed)", "kernel"]


def test_editions_that_ask_for_a_reboot_are_one_zypper_until_the_repositories_change(minion, programs):
    cookie = klp_paths.METADATA[0].replace("*", "a")
    minion.file(cookie, "1")
    reads(minion, [*HINTS, *OWN], recorded("zypper/search-provides.xml"))
    for _ in range(2):
        assert zypp_solver.reboot_hints(minion.host)["editions"] == HINTED  # each time another job
    assert len(programs.calls) == 1
    minion.changed()  # packages of the host change nothing of it
    minion.file(klp_paths.METADATA[0].replace("*", "@System"), "1")
    zypp_solver.reboot_hints(minion.host)
    assert len(programs.calls) == 1
    minion.file(cookie, "22")
    zypp_solver.reboot_hints(minion.host)
    assert len(programs.calls) == 2


def test_what_needreboot_files_name_is_asked_for_in_the_same_call(minion, programs):
    minion.file(klp_paths.NEEDREBOOT, "glibc\nprovides:x >= 2\n")
    reads(minion, [*HINTS, *OWN, "x >= 2"], recorded("zypper/search-provides.xml"))
    found = zypp_solver.reboot_hints(minion.host)
    assert found["editions"] == HINTED and "glibc" in found["names"] and len(programs.calls) == 1
    minion.file(klp_paths.NEEDREBOOT, "")
    reads(minion, [*HINTS, *OWN], {"stdout": recorded("zypper/search-provides-nothing.xml"), "retcode": 104})
    assert zypp_solver.reboot_hints(minion.host)["editions"] == set() and len(programs.calls) == 2


@pytest.mark.parametrize("line", ["-v", "--installed-only", "a;b", "x" * 300])
def test_a_line_that_is_no_capability_is_an_error_that_names_the_file(minion, programs, line):
    minion.file(klp_paths.NEEDREBOOT, f"provides:{line}\n")
    with pytest.raises(CommandExecutionError, match="needreboot .* is no capability$"):
        zypp_solver.reboot_hints(minion.host)
    assert programs.calls == []


@pytest.mark.parametrize(("code", "text"), [(0, "<stream>"), (4, ""), (106, "<stream/>"), (0, "<x><solvable/></x>")])
def test_where_zypper_does_not_know_what_asks_for_a_reboot_that_is_an_error(minion, code, text):
    reads(minion, [*HINTS, ...], {"retcode": code, "stdout": text})
    with pytest.raises(CommandExecutionError):
        zypp_solver.reboot_hints(minion.host)


@pytest.mark.parametrize(
    ("action", "allowed", "asked", "told"),
    [
        ("upgrade", False, 2, "upgrade hinted-2.0-1.1 (asks for a reboot)"),
        ("upgrade", True, 1, None),
        ("remove", False, 1, None),
    ],
)
def test_hints_are_asked_for_where_something_comes(minion, programs, action, allowed, asked, told):
    reads(minion, [*HINTS, *OWN], recorded("zypper/search-provides.xml"))
    reads(minion, ["install", "--dry-run", "a"], dry(action, "hinted=2.0-1.1"))
    if told:
        with pytest.raises(CommandExecutionError, match="install it by hand with zypper$") as error:
            zypp_solver.permitted(minion.host, ["a"], "install", allowed)
        assert told in str(error.value) and "klp:update" not in str(error.value)
    else:
        zypp_solver.permitted(minion.host, ["a"], "install", allowed)
    assert len(programs.calls) == asked
