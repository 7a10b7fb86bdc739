"""The states of the backup, and what loads where."""

import re

import pytest
from salt.exceptions import CommandExecutionError

from tests.unit import loader
from tests.unit.test_module_root_backup import equip
from tests.unit.test_states import apply

CONFIG = {"backend": "command", "create": ["/bin/backup"], "verify": ["/bin/check"]}


@pytest.fixture
def host(minion, monkeypatch):
    """A host with a backup program; nothing but the answer of ``klp.idle`` is replaced."""
    monkeypatch.setattr("salt.utils.path.which", lambda name: f"/usr/bin/{name.rsplit('/', 1)[-1]}")
    minion.pillar["klp"] = {"backup": CONFIG, "run": "r1"}
    minion.programs.on(["backup"], "vol-1", "vol-2")
    minion.programs.on(["check", ...])
    minion.salt["klp.idle"] = lambda sls: sls == "klp"
    equip(minion)
    return minion


def test_a_backup_is_taken_once(host, programs):
    ret = apply(host, "root_backup.taken", test=True)
    assert (ret["result"], ret["changes"]) == (None, {"backup": {"old": None, "new": "a verified backup of this run"}})
    assert programs.calls == []
    ret = apply(host, "root_backup.taken")
    assert (ret["result"], ret["changes"]) == (True, {"backup": {"old": None, "new": "vol-1"}})
    assert apply(host, "root_backup.taken")["changes"] == {}
    assert len(programs.started("backup")) == 1 and len(programs.started("check")) == 2


def test_a_backend_that_was_looked_up_is_told(host, programs):
    host.pillar["klp"] = {"backup": {"backend": "auto"}, "run": "r1"}
    answer = {"run": "r1", "backend": "snapper", "backup": "5"}
    host.salt["root_backup.create"], host.salt["root_backup.usable"] = lambda: answer, lambda: None
    programs.on(["snapper", "--machine-readable", "csv", "list-configs"], "config,subvolume\nroot,/\n")
    reason = "backend snapper: / is btrfs on /dev/sda2 with the snapper configuration root"
    assert apply(host, "root_backup.taken")["comment"] == f"Changed: backup 5 is verified ({reason})"


@pytest.mark.parametrize(("before", "started"), [("klp", 0), ("klp.patch", 1), (None, 1)])
def test_no_backup_is_taken_where_nothing_will_change(host, programs, before, started):
    ret = apply(host, "root_backup.taken", before=before)
    assert ret["result"] is True and len(programs.started("backup")) == started
    assert bool(ret["changes"]) is bool(started)


@pytest.mark.parametrize("test", [True, False])
def test_without_a_backend_the_state_is_false(host, test):
    host.pillar["klp"] = {}
    ret = apply(host, "root_backup.taken", test=test)
    assert (ret["result"], ret["changes"]) == (False, {}) and "no backup, no patching" in ret["comment"]


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


def test_backups_that_are_not_kept_are_deleted_with_the_end_of_a_run(host):
    answers = [{"deleted": ["vol-0"], "notes": ["Backup vol-9 could not be deleted"]}]
    listed = [[{"backup": "vol-0"}, {"backup": "vol-1"}, {"backup": None}], [{"backup": "vol-1"}]]
    apply(host, "root_backup.taken")
    real = host.salt["root_backup.list"]
    host.salt["root_backup.list"] = lambda: listed.pop(0)
    host.salt["root_backup.prune"] = answers.pop
    ret = apply(host, "root_backup.finished")
    assert ret["changes"]["backups"] == {"old": ["vol-0", "vol-1"], "new": ["vol-1"]}
    assert ret["result"] is True and ret["comment"].endswith("\nBackup vol-9 could not be deleted")
    host.salt["root_backup.list"] = real
    assert apply(host, "root_backup.finished")["changes"] == {} and answers == []


def test_where_no_run_is_open_nothing_is_finished(host):
    assert apply(host, "root_backup.finished")["changes"] == {}


def test_a_damaged_record_makes_the_states_false(host):
    host.write("record/runs.json", "[")
    for state in ("root_backup.taken", "root_backup.finished"):
        ret = apply(host, state)
        assert ret["result"] is False and "runs.json: cannot be read" in ret["comment"]


def virtual(module, name):
    """Return the name under which Salt loads a file."""
    return getattr(module, "__virtualname__", name)


@pytest.mark.parametrize("name", loader.MODULES)
def test_a_module_loads_under_its_virtual_name(minion, name):
    module = minion.modules[name]
    answer = module.__virtual__()
    assert answer is True or answer == module.__virtualname__
    assert name.startswith(virtual(module, name))


@pytest.mark.parametrize("name", loader.MODULES)
def test_a_module_says_what_has_to_be_synced(minion, name):
    minion.utils.clear()
    loaded, reason = minion.modules[name].__virtual__()
    assert loaded is False and reason.endswith(".py is missing here, run saltutil.sync_all")


@pytest.mark.parametrize("name", [name for name in loader.MODULES if not name.startswith("root_backup")])
@pytest.mark.parametrize("program", ["zypper", "rpm"])
def test_a_module_says_which_program_is_missing(minion, paths, name, program):
    paths.discard(program)
    module = minion.modules[name]
    answer = module.__virtual__()
    if program == "zypper" or name == "zypper":
        assert answer == (False, f"{virtual(module, name)}: command {program} not found, this is not a SUSE host")
    else:
        assert answer


@pytest.mark.parametrize("name", loader.STATES)
def test_a_state_loads_only_with_its_module_and_utils(minion, name):
    module = minion.states[name]
    minion.salt["saltutil.runner"] = lambda fun, **kwargs: {}  # of Salt's own, on a master
    assert module.__virtual__() in (True, virtual(module, name))
    minion.utils.clear()
    loaded, reason = module.__virtual__()
    assert loaded is False and reason.startswith(f"{virtual(module, name)}: ")
    assert re.search(r" missing here, run(: salt-run)? saltutil\.sync_all$", reason)


def test_an_error_while_the_run_is_read_is_the_comment(host):
    host.salt["root_backup.current"] = lambda: (_ for _ in ()).throw(CommandExecutionError("broken"))
    assert apply(host, "root_backup.finished")["comment"] == "broken"
