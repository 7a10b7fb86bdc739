"""The states of the backup: taken where something will change, finished with the run, and where states are loaded."""

import pytest
from salt.exceptions import CommandExecutionError

import klp_paths
from tests.unit.backups import equip
from tests.unit.conftest import LP
from tests.unit.hosts import FIRST, KERNEL_PACKAGE, LIFECYCLE, ONE, THREE, TOOLS, another_run, record, remembers
from tests.unit.states import apply, functions

__all__ = ["functions"]

CONFIG = {"backend": "command", "create": ["/bin/backup"], "verify": ["/bin/check"]}


@pytest.fixture
def host(minion, monkeypatch):
    """A live patched and locked host with a backup program; nothing is pending."""
    monkeypatch.setattr("salt.utils.path.which", lambda name: f"/usr/bin/{name.rsplit('/', 1)[-1]}")
    minion.pillar["klp"] = {"backup": CONFIG, "run": "r1"}
    minion.programs.on(["backup"], "vol-1", "vol-2")
    minion.programs.on(["check", ...])
    equip(minion, monkeypatch)
    installed = {"kernel-default": KERNEL_PACKAGE, TOOLS: "1.4-1", LP: ONE}
    installed[LIFECYCLE] = "1-1"
    minion.rpm_q(["kernel-default", LP, TOOLS, LIFECYCLE], installed)
    for name in (LP, TOOLS):
        minion.rpm_q([name], {name: installed[name]})
    minion.live_patch(FIRST)
    minion.locked(*minion.salt["klp.settings"]()["locks"])
    return minion


def plans(functions, **parts):
    """Say what a maintenance run would change."""
    plan = dict({"packages": {}, "live_patch": {}, "reload": {}, "unfinished": {}, "skipped": []}, **parts)
    functions.set(klp_updates__plan=lambda host, update=None, level=None: plan)


def test_a_backup_is_taken_once(host, programs):
    ret = apply(host, "root_backup.taken", test=True)
    assert (ret["result"], ret["changes"]) == (None, {"backup": {"old": None, "new": "a verified backup of this run"}})
    assert programs.calls == []
    ret = apply(host, "root_backup.taken")
    assert (ret["result"], ret["changes"]) == (True, {"backup": {"old": None, "new": "vol-1"}})
    assert apply(host, "root_backup.taken")["changes"] == {}
    assert len(programs.started("backup")) == 1 and len(programs.started("check")) == 2


def test_a_host_that_is_patched_without_a_way_back_says_so(host, programs):
    host.pillar["klp"] = {"backup": {"backend": "none"}}
    ret = apply(host, "root_backup.taken")
    assert (ret["result"], ret["changes"]) == (True, {})
    assert ret["comment"] == "Already as declared: no backup, so no restore: pillar klp:backup:backend is none"
    assert programs.calls == []


def test_a_backend_that_was_looked_up_is_told(host, functions, programs):
    host.pillar["klp"] = {"backup": {"backend": "auto"}, "run": "r1"}
    answer = {"run": "r1", "backend": "snapper", "backup": "5"}
    functions.set(klp_runs__create=lambda _: answer, klp_runs__usable=lambda _: None)
    programs.on(["snapper", "--version"], "snapper 0.8.15\n")
    programs.on(["snapper", "--machine-readable", "csv", "list-configs"], "config,subvolume\nroot,/\n")
    reason = "backend snapper: / is btrfs on /dev/sda2 with the snapper configuration root"
    assert apply(host, "root_backup.taken")["comment"] == f"Changed: backup 5 is verified ({reason})"


@pytest.mark.parametrize("test", [True, False])
@pytest.mark.parametrize(("before", "changes"), [("klp", 0), ("klp.patch", 0), (None, 1)])
def test_no_backup_is_taken_where_nothing_will_change(host, functions, programs, before, changes, test):
    plans(functions)
    ret = apply(host, "root_backup.taken", before=before, test=test)
    assert ret["result"] is (None if test and changes else True) and len(ret["changes"]) == changes
    assert len(programs.started("backup")) == (0 if test else changes)


PENDING = {"old": "1-1", "new": "2-1"}


@pytest.mark.parametrize(
    "parts",
    [
        {"packages": {"curl": PENDING}},
        {"live_patch": {LP: {"old": ONE, "new": THREE}}},
        {"reload": {LP: {"old": ONE, "new": ONE}}},
        {"unfinished": {"curl": "2-1"}},
    ],
    ids=["updates", "a live patch", "a live patch that is not loaded", "what was cut off"],
)
def test_before_a_maintenance_run_a_backup_is_taken_for_whatever_changes(host, functions, programs, parts):
    """What was cut off is installed again, which changes the host although no edition is another one afterwards."""
    plans(functions, **parts)
    ret = apply(host, "root_backup.taken", before="klp.patch")
    assert (ret["result"], ret["changes"]) == (True, {"backup": {"old": None, "new": "vol-1"}})
    assert len(programs.started("backup")) == 1


@pytest.mark.parametrize("begun", [{TOOLS: "1.4-1"}, {LP: ONE}, {}], ids=["tools", "live patch", "nothing"])
def test_before_the_steady_state_a_backup_is_taken_for_what_was_cut_off(host, programs, begun):
    remembers(host, "begun", begun)
    ret = apply(host, "root_backup.taken", before="klp")
    assert ret["result"] is True and len(programs.started("backup")) == len(begun)


def test_a_backup_is_not_taken_while_another_run_changes_this_host(host, programs):
    with another_run("klp.patch"):
        ret = apply(host, "root_backup.taken")
    assert (ret["result"], ret["changes"]) == (False, {})
    assert "process 4711 is changing this host" in ret["comment"] and programs.started("backup") == []


def test_whether_something_will_change_is_asked_once(host, functions):
    """After the backup it would be another answer, if another run has been here meanwhile."""
    answers = iter([False])
    functions.set(klp_uptodate__up_to_date=lambda host, sls: next(answers))
    assert apply(host, "root_backup.taken", before="klp.patch")["result"] is True


@pytest.mark.parametrize("test", [True, False])
def test_without_a_backend_the_state_is_false(host, test):
    host.pillar["klp"] = {}
    ret = apply(host, "root_backup.taken", test=test)
    assert (ret["result"], ret["changes"]) == (False, {}) and "no backup backend is set" in ret["comment"]


def test_without_a_backend_nothing_is_wrong_where_nothing_will_change(host):
    host.pillar["klp"] = {}
    ret = apply(host, "root_backup.taken", before="klp")
    assert (ret["result"], ret["comment"]) == (True, "Already as declared: nothing will change, no backup needed")


def test_a_backup_that_fails_is_false(host, programs):
    programs.on(["backup"], {"retcode": 1, "stderr": "quota"})
    ret = apply(host, "root_backup.taken")
    assert (ret["result"], ret["changes"], ret["comment"]) == (False, {}, "/bin/backup: exit 1: quota")


def test_a_run_is_finished_once(host):
    apply(host, "root_backup.taken")
    changes = {"open run": {"old": "r1", "new": None}}
    ret = apply(host, "root_backup.finished", test=True)
    assert (ret["result"], ret["changes"]) == (None, changes)
    assert apply(host, "root_backup.finished")["changes"] == changes
    ret = apply(host, "root_backup.finished")
    assert (ret["result"], ret["changes"]) == (True, {})


def test_backups_that_are_not_kept_are_deleted_with_the_end_of_a_run(host, programs):
    host.pillar["klp"]["backup"] = dict(CONFIG, keep=1, delete=["/bin/drop"])
    for run, backup in (("r0", "vol-9"), ("r1", "vol-0"), ("r2", "vol-1")):
        host.pillar["klp"]["run"] = run
        programs.on(["backup"], backup)
        programs.on(["drop", ...], {"retcode": 1, "stderr": "busy"})
        apply(host, "root_backup.taken")
    programs.on(["drop", "vol-0"])
    ret = apply(host, "root_backup.finished")
    assert ret["changes"] == {
        "open run": {"old": "r2", "new": None},
        "backups": {"old": ["vol-9", "vol-0", "vol-1"], "new": ["vol-9", "vol-1"]},
    }
    failed = "Backup vol-9 of run r0 could not be deleted: /bin/drop vol-9: exit 1: busy"
    assert ret["result"] is True and ret["comment"].endswith(f"\n{failed}")
    assert apply(host, "root_backup.finished")["changes"] == {}


def test_the_end_of_a_run_is_true_though_runs_before_it_never_ended(host):
    for run in ("r0", "r1"):
        host.pillar["klp"]["run"] = run
        apply(host, "root_backup.taken")
    host.pillar["klp"]["run"] = ""
    ret = apply(host, "root_backup.finished")
    assert (ret["result"], ret["changes"]) == (True, {"open run": {"old": "r1", "new": None}})
    assert [item["finished"] is None for item in record("runs")] == [False, False]


def test_where_no_run_is_open_nothing_is_finished(host):
    assert apply(host, "root_backup.finished")["changes"] == {}


def test_a_damaged_record_makes_the_states_false(host):
    host.file(f"{klp_paths.RECORDS}/runs.json", "[")
    for state in ("root_backup.taken", "root_backup.finished"):
        ret = apply(host, state)
        assert ret["result"] is False and "runs.json: cannot be read" in ret["comment"]


def test_the_backup_needs_no_zypper(minion, paths):
    """A backup is put back on a host whose package management does not work any more, too."""
    paths.clear()
    assert minion.modules["root_backup"].__virtual__() is True
    assert minion.states["root_backup"].__virtual__() is True


@pytest.mark.parametrize(("state", "needs"), [("klp", "klp.status"), ("zypper", "zypper.locks")])
def test_a_state_without_its_module_says_where_the_reason_is(minion, state, needs):
    assert minion.states[state].__virtual__() is True
    del minion.salt[needs]
    loaded, reason = minion.states[state].__virtual__()
    assert loaded is False
    assert reason == f"{state}: the module {state} is not loaded here; it says why: salt-call {needs}"


def test_an_error_while_the_run_is_read_is_the_comment(host, functions):
    functions.set(klp_runs__current=lambda _: (_ for _ in ()).throw(CommandExecutionError("broken")))
    assert apply(host, "root_backup.finished")["comment"] == "broken"
