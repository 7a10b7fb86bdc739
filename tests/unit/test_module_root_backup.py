"""The way back: one verified backup for a run, however often it is interrupted."""

import json
import random

import pytest
from salt.exceptions import CommandExecutionError

COMMAND = {"backend": "command", "create": ["/usr/bin/backup", "new"], "verify": ["/usr/bin/backup", "check"]}
CREATE, VERIFY = ["backup", "new"], ["backup", "check"]
SNAPPER = ["snapper", "-c", "root", "create", "-t", "single", "-p", "-d"]
LIST = ["snapper", "--machine-readable", "csv", "-c", "root", "list"]
HEADER = "number,date,description,userdata\n0,,current,\n"
DAY = 24 * 3600


@pytest.fixture
def host(minion, paths, monkeypatch):
    """A host with a backup program, and run ids that can be foretold."""
    paths.update(["/usr/bin/backup", "snapper"])
    monkeypatch.setattr("salt.utils.path.which", lambda name: f"/usr/bin/{name.rsplit('/', 1)[-1]}")
    monkeypatch.setattr(random.SystemRandom, "getrandbits", lambda self, bits: 0xAB)
    minion.pillar["klp"] = {"backup": dict(COMMAND)}
    minion.programs.on(CREATE, "making it\nvol-1\n", "vol-2\n", "vol-3\n")
    minion.programs.on(VERIFY + [...])
    return minion


def runs(host):
    return [(item["run"], item["backup"], item["finished"] is not None) for item in host.salt["root_backup.list"]()]


FIRST_RUN = "T1700000000-0000ab"


def test_the_command_makes_and_verifies_a_backup_for_a_run(host, programs):
    assert host.salt["root_backup.create"]() == {"run": FIRST_RUN, "backend": "command", "backup": "vol-1"}
    assert programs.calls == [CREATE, VERIFY + ["vol-1"]]
    for options in programs.options:
        assert options["env"] == {"LC_ALL": "C", "KLP_RUN": FIRST_RUN, "KLP_HOST": "sles1"}
        assert options["timeout"] == 1800
    assert runs(host) == [(FIRST_RUN, "vol-1", False)]


def test_an_interrupted_run_keeps_its_backup_but_verifies_it_again(host, programs):
    host.salt["root_backup.create"]()
    host.clock.now += DAY - 1
    assert host.salt["root_backup.usable"]() == "vol-1"
    assert host.salt["root_backup.create"]()["backup"] == "vol-1"
    assert [argv[1] for argv in programs.calls] == ["new", "check", "check", "check"]


def test_an_expired_backup_is_followed_by_a_new_run(host):
    host.salt["root_backup.create"]()
    host.clock.now += DAY + 1
    assert host.salt["root_backup.usable"]() is None
    assert host.salt["root_backup.create"]()["backup"] == "vol-2"
    assert runs(host) == [(FIRST_RUN, "vol-1", True), ("T1700086401-0000ab", "vol-2", False)]


def test_a_finished_run_is_followed_by_a_new_one(host):
    host.salt["root_backup.create"]()
    assert host.salt["root_backup.finish"]() == FIRST_RUN
    assert host.salt["root_backup.finish"]() is None
    assert host.salt["root_backup.current"]() is None
    host.clock.now += 60
    assert host.salt["root_backup.create"]()["backup"] == "vol-2"


def test_a_pinned_run_goes_on_after_its_end(host):
    host.pillar["klp"]["run"] = "campaign-7"
    assert host.salt["root_backup.create"]()["run"] == "campaign-7"
    assert host.salt["root_backup.finish"]() == "campaign-7"
    assert host.salt["root_backup.usable"]() == "vol-1"


def test_an_expired_pinned_run_makes_a_new_backup_and_keeps_the_old_one_in_mind(host):
    host.pillar["klp"]["run"] = "campaign-7"
    host.salt["root_backup.create"]()
    host.salt["root_backup.finish"]()
    host.clock.now += 2 * DAY
    assert host.salt["root_backup.create"]() == {"run": "campaign-7", "backend": "command", "backup": "vol-2"}
    assert runs(host) == [("campaign-7", "vol-1", True), ("campaign-7", "vol-2", False)]
    assert host.salt["root_backup.verify"]("vol-1")["backup"] == "vol-1"
    assert host.salt["root_backup.finish"]() == "campaign-7"
    assert [finished for _, _, finished in runs(host)] == [True, True]


def test_an_open_pinned_run_replaces_its_expired_backup(host):
    host.pillar["klp"]["run"] = "campaign-7"
    host.salt["root_backup.create"]()
    host.clock.now += 2 * DAY
    assert host.salt["root_backup.create"]()["backup"] == "vol-2"
    assert runs(host) == [("campaign-7", "vol-2", False)]


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ({"retcode": 1, "stderr": "quota"}, r"^/usr/bin/backup new: exit 1: quota$"),
        ({"stdout": ""}, r"^backup: /usr/bin/backup: it printed no id$"),
        ({"stdout": "all done!"}, r"^backup: /usr/bin/backup: the last line it printed is no id: 'all done!'$"),
    ],
)
def test_a_backup_that_fails_leaves_an_open_run_without_one(host, programs, answer, message):
    programs.on(CREATE, answer)
    with pytest.raises(CommandExecutionError, match=message):
        host.salt["root_backup.create"]()
    assert runs(host) == [(FIRST_RUN, None, False)] and host.salt["root_backup.usable"]() is None
    programs.on(CREATE, "vol-9")
    host.clock.now += 60
    assert host.salt["root_backup.create"]() == {"run": FIRST_RUN, "backend": "command", "backup": "vol-9"}


def test_a_backup_that_cannot_be_verified_is_not_usable(host, programs):
    programs.on(VERIFY + ["vol-1"], {"retcode": 2, "stderr": "gone"})
    with pytest.raises(CommandExecutionError, match="check vol-1: exit 2: gone"):
        host.salt["root_backup.create"]()
    assert host.salt["root_backup.usable"]() is None
    host.clock.now += 60
    assert host.salt["root_backup.create"]()["backup"] == "vol-2"


def test_without_a_backend_nothing_is_done(host, programs):
    host.pillar["klp"] = {}
    for name in ("root_backup.create", "root_backup.usable"):
        with pytest.raises(CommandExecutionError, match="^no backup, no patching: set pillar klp:backup:backend"):
            host.salt[name]()
    assert programs.calls == []


def test_a_host_may_be_patched_without_a_way_back(host, programs):
    host.pillar["klp"] = {"backup": {"backend": "none"}}
    assert host.salt["root_backup.usable"]() == "none"
    assert host.salt["root_backup.create"]() == {"run": None, "backend": "none", "backup": "none"}
    assert programs.calls == [] and runs(host) == []


def test_another_backend_makes_its_own_backup(host, programs):
    host.salt["root_backup.create"]()
    snapper(host)
    host.clock.now += 60
    assert host.salt["root_backup.usable"]() is None
    assert host.salt["root_backup.create"]()["backup"] == "5"


@pytest.mark.parametrize("backup", ["vol-1", 17])
def test_a_backup_can_be_verified_by_its_id(host, programs, backup):
    programs.on(CREATE, str(backup))
    host.salt["root_backup.create"]()
    assert host.salt["root_backup.verify"](backup) == {"run": FIRST_RUN, "backend": "command", "backup": str(backup)}


def test_an_unknown_backup_is_named_with_the_known_ones(host):
    with pytest.raises(CommandExecutionError, match="^backup 'x' is not known on this host; known: none$"):
        host.salt["root_backup.verify"]("x")
    host.salt["root_backup.create"]()
    with pytest.raises(CommandExecutionError, match="known: vol-1$"):
        host.salt["root_backup.verify"]("vol-2")


def test_a_backup_of_an_unknown_backend_is_an_error(host):
    host.salt["root_backup.create"]()
    path = host.root / "record" / "runs.json"
    path.write_text(path.read_text().replace('"command"', '"tape"'))
    with pytest.raises(CommandExecutionError, match="^backup vol-1: was made by the unknown backend tape$"):
        host.salt["root_backup.verify"]("vol-1")


def test_a_damaged_record_stops_the_backup(host, programs):
    host.write("record/runs.json", "[")
    with pytest.raises(CommandExecutionError, match="runs.json: cannot be read"):
        host.salt["root_backup.create"]()
    assert programs.calls == []


@pytest.mark.parametrize("text", ["[1]", '[{"run": "r1"}]', "[null]"])
def test_a_record_of_another_shape_stops_the_backup(host, programs, text):
    host.write("record/runs.json", text)
    with pytest.raises(CommandExecutionError, match="runs.json: not what salt-klp wrote; repair it or move it away$"):
        host.salt["root_backup.create"]()
    assert programs.calls == []


def row(number, run):
    return f'{number},2023-01-01,salt-klp,"klp_run={run},important=yes"\n'


def snapper(host, *lists, run=None):
    """Let snapper list snapshots and make number 5 for a run."""
    host.pillar["klp"] = {"backup": {"backend": "snapper"}, **({"run": run} if run else {})}
    run = run or "T1700000060-0000ab"
    host.programs.on(LIST, *(lists or (HEADER, HEADER + row(5, run))))
    host.programs.on(SNAPPER + [f"salt-klp {run}", "-u", f"klp_run={run},important=yes"], "5\n", "6\n")


def test_snapper_makes_a_snapshot_that_carries_its_run(host, programs):
    snapper(host, run="r1")
    assert host.salt["root_backup.create"]() == {"run": "r1", "backend": "snapper", "backup": "5"}
    assert [argv[-1] for argv in programs.calls] == ["list", "klp_run=r1,important=yes", "list"]


def test_snapper_uses_the_configuration_of_the_pillar(host, programs):
    host.pillar["klp"] = {"run": "r1", "backup": {"backend": "snapper", "config": "system"}}
    programs.on(["snapper", "--machine-readable", "csv", "-c", "system", "list"], HEADER, HEADER + row(5, "r1"))
    programs.on(["snapper", "-c", "system", "create", ...], "5")
    assert host.salt["root_backup.create"]()["backup"] == "5"


def test_a_snapshot_that_was_made_but_not_remembered_is_found(host, programs):
    snapper(host, HEADER + row(3, "other") + row(4, "r1"), run="r1")
    assert host.salt["root_backup.create"]()["backup"] == "4"
    assert programs.started(*SNAPPER) == []


def test_an_expired_snapshot_of_a_pinned_run_is_not_taken_again(host):
    snapper(host, HEADER, HEADER + row(5, "r1"), HEADER + row(5, "r1"), HEADER + row(5, "r1") + row(6, "r1"), run="r1")
    assert host.salt["root_backup.create"]()["backup"] == "5"
    host.clock.now += 2 * DAY
    assert host.salt["root_backup.create"]()["backup"] == "6"


def test_a_snapshot_that_is_gone_is_not_usable(host):
    snapper(host, HEADER, HEADER + row(5, "r1"), HEADER + row(5, "other"), run="r1")
    host.salt["root_backup.create"]()
    assert host.salt["root_backup.usable"]() is None
    with pytest.raises(CommandExecutionError, match="^backup 5: snapper has no such snapshot of run r1$"):
        host.salt["root_backup.verify"](5)


@pytest.mark.parametrize("text", ["# | Type\n", ""])
def test_a_list_of_another_form_is_an_error(host, text):
    snapper(host, text, run="r1")
    with pytest.raises(CommandExecutionError, match="^backup: snapper list: no column number"):
        host.salt["root_backup.create"]()


def test_what_is_remembered_is_plain(host):
    host.salt["root_backup.create"]()
    assert json.loads((host.root / "record" / "runs.json").read_text()) == [
        {
            "run": FIRST_RUN,
            "opened": 1_700_000_000,
            "finished": None,
            "backend": "command",
            "backup": "vol-1",
            "created": 1_700_000_000,
        }
    ]
