"""What campaigns leave on the disk: nothing outside of their folder, nothing for others, nothing half written."""

import json
import os

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from salt.exceptions import CommandExecutionError

from _runners.klp import files, journal, planning, schema, store
from tests.unit.loader import utils

ID = "0123456789ab"


SETTINGS, _ = schema.settings({"waves": [{"name": "all"}]}, utils()["klp_pillar"].compare)
OFFER = {"package": "kernel-livepatch", "target": "2-1", "changes": {"curl": "1-1"}}
PLANNED: dict = {
    "kernel": "6.4",
    "package": "kernel-livepatch",
    "before": None,
    "target": "2-1",
    "offer": "0" * 12,
    "seconds": None,
    "note": None,
    "group": None,
    "apart": [],
}


def made(number=0, hosts=()):
    """Return a plan; the number makes it another one."""
    wave = {key: SETTINGS["waves"][0][key] for key in ("name", "batch", "soak", "failed", "unreachable")}
    plan = {
        "version": planning.VERSION,
        "kind": "patch",
        "created": 1_800_000_000 + number,
        "master": "m",
        "by": None,
        "settings": SETTINGS,
        "seed": "a" * 12,
        "waves": [dict(wave, hosts=sorted(hosts), groups={"": len(hosts)}, seconds=0)],
        "offers": {"0" * 12: OFFER},
        "hosts": dict.fromkeys(hosts, PLANNED),
        "left_out": {"h9": ["unreachable", "no answer"]},
        "skipped": [],
        "hooks": [],
        "unclear": [],
    }
    return planning.identified(plan)


@pytest.fixture
def there(tmp_path):
    return store.Store(str(tmp_path / "klp"))


def modes(folder):
    """Return the rights of everything below a folder."""
    found = {}
    for path, folders, names in os.walk(folder):
        for name in folders + names:
            found[name] = os.stat(os.path.join(path, name)).st_mode & 0o777
    return found


STRANGE = ["../x", "/etc/passwd", "..", "", ID + "\n", ID.upper(), ID + "/..", "\u0661" * 12, "0" * 11, "0" * 13, "\0"]


@pytest.mark.parametrize("name", [*STRANGE, None, 12, b"0123456789ab", [ID]])
def test_nothing_but_an_id_leads_to_a_file(there, name):
    calls = [there.path, there.plan, there.begun, there.begin, there.entries, there.driven, there.wished]
    for call in calls:
        with pytest.raises(CommandExecutionError, match="is no id of a plan or campaign"):
            call(name)
    for context in (there.driving, there.gate):
        with pytest.raises(CommandExecutionError, match="is no id"), context(name):
            pass
    with pytest.raises(CommandExecutionError, match="is no id"):
        there.wish(name, "pause", "root", 0)
    assert os.listdir(there.folder) == ["campaigns"] and os.listdir(there.campaigns) == []


@given(st.text())
@example("0" * 12)
def test_no_text_leads_out_of_the_folder(name):
    found = store.Store.__new__(store.Store)
    found.campaigns = "/campaigns"
    try:
        path = found.path(name, "plan.json")
    except CommandExecutionError:
        assert len(name) != 12 or set(name) - set("0123456789abcdef")
    else:
        assert path == f"/campaigns/{name}/plan.json" and os.path.normpath(path) == path


def test_others_can_read_nothing(tmp_path):
    os.umask(os.umask(0))
    old = os.umask(0)
    try:
        there = store.Store(str(tmp_path / "klp"))
        plan = made()
        there.save(plan)
        there.begin(plan["id"])
        there.wish(plan["id"], "pause", "root", 0)
        there.ban([{"package": "p", "edition": "1-1"}], plan["id"], "why", 0)
        with there.driving(plan["id"]), there.beginning():
            found = modes(tmp_path)
    finally:
        os.umask(old)
    folders = {"klp", "campaigns", plan["id"]}
    assert {name for name, mode in found.items() if mode == 0o700} == folders
    assert {mode for name, mode in found.items() if name not in folders} == {0o600}
    assert {"plan.json", "journal", "wish.json", "quarantine.json", "driver", "gate", "begin"} <= set(found)


def test_a_plan_is_read_as_it_was_written(there):
    plan = made(hosts=["h1"])
    there.save(plan)
    assert there.plan(plan["id"]) == plan and there.ids() == [plan["id"]]
    assert not there.begun(plan["id"]) and there.entries(plan["id"]) == [] and there.open_campaigns() == []
    with pytest.raises(CommandExecutionError, match=f"there is no plan {ID}; make one with: salt-run klp.plan"):
        there.plan(ID)


def test_after_a_power_cut_a_campaign_is_still_found(there, monkeypatch):
    """What is written is of no use if the folder that names it was not flushed."""
    flushed, fsync = [], os.fsync

    def note(handle):
        flushed.append(os.path.relpath(os.readlink(f"/proc/self/fd/{handle}"), there.folder))
        fsync(handle)

    monkeypatch.setattr(files.os, "fsync", note)
    plan = made()
    folder = f"campaigns/{plan['id']}"
    there.save(plan)
    assert flushed == [f"{folder}/plan.json.new", folder, "campaigns"]
    there.begin(plan["id"])
    assert flushed[3:] == [folder, f"{folder}/approval.json.new", folder]
    there.ban([{"package": "p", "edition": "1-1"}], plan["id"], "why", 0)
    assert flushed[6:] == ["quarantine.json.new", "."]


def tampered(plan):
    """Yield plans that are not what was shown, some with a hash that fits."""
    yield dict(plan, hosts={"h2": {}})
    yield {key: plan[key] for key in plan if key != "hosts"}
    yield {key: plan[key] for key in plan if key != "hash"}
    yield dict(plan, more=1)
    yield dict(plan, version="2")
    yield planning.identified(dict(plan, hosts={"h2": {}}))
    yield planning.identified(dict(plan, version=None))
    yield [plan]
    yield plan["id"]
    yield None


@pytest.mark.parametrize("number", range(10))
def test_a_plan_that_was_changed_is_refused(there, number):
    plan = made(hosts=["h1"])
    there.save(plan)
    wrong = list(tampered(plan))[number]
    with open(there.path(plan["id"], "plan.json"), "w", encoding="utf-8") as handle:
        json.dump(wrong, handle)
    with pytest.raises(CommandExecutionError, match="is not what was shown|there is no plan"):
        there.plan(plan["id"])
    with pytest.raises(CommandExecutionError), there.driving(plan["id"]):
        pass
    with pytest.raises(CommandExecutionError):
        there.wish(plan["id"], "pause", "root", 0)


@pytest.mark.parametrize("text", ["", "{", "\xff", "[" * 100000])
def test_a_file_that_is_damaged_is_named(there, text):
    plan = made()
    there.save(plan)
    path = there.path(plan["id"], "plan.json")
    with open(path, "w", encoding="latin-1") as handle:
        handle.write(text)
    cure = "restore it from a backup, or set the campaign aside: salt-run klp.set_aside"
    with pytest.raises(CommandExecutionError, match=f"plan.json: cannot be read .*; {cure} {plan['id']}"):
        there.plan(plan["id"])


def test_of_the_plans_that_never_ran_the_newest_stay(there, monkeypatch):
    monkeypatch.setattr(store, "KEPT", 3)
    plans = [made(number) for number in range(6)]
    for number, plan in enumerate(plans):
        there.save(plan)
        os.utime(there.path(plan["id"], "plan.json"), ns=(number, number))
        if number == 0:
            there.begin(plan["id"])
    assert there.ids() == [plan["id"] for plan in [plans[0], *plans[3:]]]
    assert sorted(os.listdir(there.campaigns)) == sorted(there.ids())


def test_fifty_plans_stay(there):
    assert store.KEPT == 50
    for number in range(53):
        there.save(made(number))
    assert len(there.ids()) == 50


def test_a_new_plan_stays_even_if_the_clock_went_back(there, monkeypatch):
    monkeypatch.setattr(store, "KEPT", 2)
    for number in (1, 2):
        there.save(made(number))
        os.utime(there.path(made(number)["id"], "plan.json"), (2**33, 2**33))
    there.save(made(3))
    assert made(3)["id"] in there.ids() and len(there.ids()) == 2


def test_a_plan_that_begins_is_not_deleted_at_that_moment(there, monkeypatch):
    """Deleting old plans and beginning one exclude each other."""
    monkeypatch.setattr(store, "KEPT", 1)
    monkeypatch.setattr(files, "PATIENCE", 0)
    there.save(made(1))
    with there.beginning(), pytest.raises(files.BusyError):
        there.save(made(2))
    assert made(1)["id"] in there.ids()


def test_a_plan_that_was_deleted_cannot_begin(there):
    with pytest.raises(CommandExecutionError, match="there is no plan"):
        there.begin(ID)


def test_a_kill_while_a_plan_is_written_leaves_no_plan(there):
    os.mkdir(there.path(ID))
    with open(there.path(ID, "plan.json.new"), "w", encoding="utf-8") as handle:
        handle.write("{")
    assert there.ids() == [] and there.open_campaigns() == [] and there.taken() == {}
    there.save(made())
    assert there.ids() == [made()["id"]]


def test_an_id_that_vanishes_while_it_is_looked_at_is_the_oldest(there):
    assert there._made(ID) == 0


def test_a_campaign_has_its_hosts_until_it_is_over(there):
    first, second = made(1, ["h1", "h2"]), made(2, ["h3"])
    for plan in (first, second):
        there.save(plan)
        there.begin(plan["id"])
    assert there.begun(first["id"]) and there.taken() == {"h1": first["id"], "h2": first["id"], "h3": second["id"]}
    assert there.taken(but=first["id"]) == {"h3": second["id"]}
    with there.driving(first["id"]) as entries:
        entries.append({"what": "end", "at": 1, "result": "done"})
    assert there.open_campaigns() == [second["id"]] and there.taken() == {"h3": second["id"]}
    assert there.entries(first["id"]) == [{"what": "end", "at": 1, "result": "done", "n": 1}]


def test_one_process_drives(there, monkeypatch):
    plan = made()
    there.save(plan)
    assert not there.driven(plan["id"])
    with there.driving(plan["id"]) as entries:
        assert isinstance(entries, journal.Journal) and there.driven(plan["id"])
        with pytest.raises(files.BusyError, match="is held by another process"), there.driving(plan["id"]):
            pass
    assert not there.driven(plan["id"])
    with pytest.raises(OSError):
        os.fstat(entries._file)


def test_wishes_are_numbered(there):
    plan = made()
    there.save(plan)
    assert there.wished(plan["id"]) is None
    there.wish(plan["id"], "pause", "anna", 7.9, "m")
    assert there.wished(plan["id"]) == {"number": 1, "want": "pause", "by": "anna", "at": 7, "master": "m"}
    there.wish(plan["id"], "resume", "otto", 8)
    assert there.wished(plan["id"]) == {"number": 2, "want": "resume", "by": "otto", "at": 8, "master": None}


@pytest.mark.parametrize("want", ["pause", "resume", "abort"])
def test_the_end_of_a_campaign_is_not_overruled_before_anybody_has_read_of_it(there, want):
    plan = made()
    there.save(plan)
    there.wish(plan["id"], "abort", "anna", 7)
    there.wish(plan["id"], want, "otto", 8)
    assert there.wished(plan["id"]) == {"number": 1, "want": "abort", "by": "anna", "at": 7, "master": None}


def test_no_wish_is_made_while_hosts_are_started(there, monkeypatch):
    monkeypatch.setattr(files, "PATIENCE", 0.05)
    plan = made()
    there.save(plan)
    with there.gate(plan["id"]), pytest.raises(files.BusyError, match="gate is held by another process"):
        there.wish(plan["id"], "pause", "root", 0)
    assert there.wished(plan["id"]) is None


def test_quarantine_keeps_the_first_reason(there):
    item, other = {"package": "p", "edition": "1-1"}, {"package": "p", "edition": "2-1"}
    assert there.quarantine() == []
    there.ban([item], ID, "wave a: failed", 5.5)
    there.ban([item, other], "f" * 12, "later", 9)
    assert there.quarantine() == [
        dict(item, campaign=ID, since=5, why="wave a: failed"),
        dict(other, campaign="f" * 12, since=9, why="later"),
    ]
    assert there.release("p", "1-1", "anna", 7)
    assert not there.release("p", "1-1", "anna", 8) and not there.release("q", "2-1", "anna", 8)
    (released,) = there.history()
    assert (released["what"], released["by"], released["at"], released["campaign"]) == ("release", "anna", 7, ID)
    assert [found["edition"] for found in there.quarantine()] == ["2-1"]


def test_what_cannot_be_written_is_an_error_and_leaves_the_old_file(there, monkeypatch):
    there.ban([{"package": "p", "edition": "1-1"}], ID, "why", 0)

    def refuse(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", refuse)
    with pytest.raises(CommandExecutionError, match=r"quarantine.json: cannot be written \(No space left on device\)"):
        there.ban([{"package": "p", "edition": "2-1"}], ID, "why", 0)
    assert len(there.quarantine()) == 1
