"""What becomes of campaigns: set aside, summed up, deleted; and who did what."""

import os
import shutil

import pytest
from salt.exceptions import CommandExecutionError

from _runners.klp import files, journal, shelf, standing, store
from tests.simulation.world import NEW, PACKAGE
from tests.unit import damage
from tests.unit.damage import JOURNAL, PLAN

# -- set aside ---------------------------------------------------------------------------------------------------


def test_a_damaged_campaign_is_set_aside_and_its_hosts_are_free(master, there, ill):
    damage.cut(there.path(ill, JOURNAL))
    answer = master.run("set_aside", ill)
    assert answer["folder"].startswith(os.path.join(there.campaigns, shelf.ASIDE, f"{ill}-"))
    assert os.path.exists(os.path.join(answer["folder"], PLAN))
    assert (there.ids(), there.occupied()) == ([], ({}, {}))
    assert answer["hosts"] == ["web0"] and "free are its hosts: 1 (web0). What was started" in answer["text"]
    assert f"it is unknown whether they are well with {PACKAGE} {NEW}, which is not in quarantine: " in answer["text"]
    (noted,) = there.history()
    assert (noted["what"], noted["campaign"], noted["by"], noted["hosts"]) == (
        "set_aside",
        ill,
        "sudo_anna",
        ["web0"],
    )
    assert master.refused("set_aside", ill) == f"there is no campaign {ill}; look with: salt-run klp.status"
    assert master.run("run", master.plan())["retcode"] == 0


@pytest.mark.parametrize("kind", ["patch", "rollback"])
def test_what_is_in_quarantine_or_goes_back_is_not_warned_of(master, there, kind):
    name = master.run("plan", kind)["plan"]["id"]
    there.begin(name)
    there.ban([{"package": PACKAGE, "edition": NEW}], name, "why", 1)
    with open(there.path(name, JOURNAL), "w") as handle:
        handle.write("garbage\n")
    assert "it is unknown whether" not in master.run("set_aside", name)["text"]


def test_the_same_id_may_be_set_aside_twice(there, ill):
    whole = there.path(ill) + ".copy"
    shutil.copytree(there.path(ill), whole)
    first, _ = there.set_aside(ill, "anna", 1)
    os.rename(whole, there.path(ill))
    assert there.set_aside(ill, "anna", 1) == (f"{first}-1", ["web0"])


def test_a_file_in_the_place_of_a_campaign_is_named_and_can_be_set_aside(master, there):
    name = "c" + 11 * "0"
    open(there.path(name), "w").close()
    assert "Not a directory" in master.run("status")["damaged"][name]
    answer = master.run("set_aside", name)
    assert answer["hosts"] is None and "free are its hosts: unknown. " in answer["text"]
    assert master.run("status")["damaged"] == {}


def test_a_history_that_is_damaged_is_said_before_anything_is_done(master, there, ill):
    path = os.path.join(there.folder, "history")
    os.mkdir(path)
    damage.cut(there.path(ill, JOURNAL))
    said = f"refused: {path}: cannot be read (Is a directory); move it away: it is only a record of who did what"
    assert master.run("set_aside", ill)["text"] == said
    assert there.ids() == [ill]


def test_what_is_whole_or_driven_is_not_set_aside(master, there, ill):
    assert master.refused("set_aside", ill) == (
        f"nothing is wrong with the files of campaign {ill}; end it with: salt-run klp.abort {ill}"
    )
    with there.driving(ill):
        damage.cut(there.path(ill, JOURNAL))
        assert f"a process drives campaign {ill}" in master.refused("set_aside", ill)
    assert there.ids() == [ill]
    other = master.plan(target="w*")
    master.run("run", other)
    assert "it is over, its hosts are free" in master.refused("set_aside", other)


def test_a_campaign_stays_where_it_is_if_it_cannot_be_moved(there, ill, monkeypatch):
    def deny(*args, **kwargs):
        raise OSError(13, "Permission denied")

    monkeypatch.setattr(shelf.os, "rename", deny)
    with pytest.raises(files.DiskError, match="Permission denied"):
        there.set_aside(ill, "anna", 1)
    monkeypatch.setattr(shelf.os, "makedirs", deny)
    with pytest.raises(files.DiskError, match="Permission denied"):
        there.set_aside(ill, "anna", 1)
    assert there.ids() == [ill]


# -- what is over ------------------------------------------------------------------------------------------------


@pytest.fixture
def over(master):
    name = master.plan()
    assert master.run("run", name)["retcode"] == 0
    return name


def test_a_campaign_that_is_over_is_not_replayed_again(master, there, over, monkeypatch):
    assert there.finished(over)["verified"] == 4

    def never(*args):
        raise AssertionError("replayed")

    monkeypatch.setattr(standing.Standing, "_campaign", never)
    monkeypatch.setattr(journal, "read", never)
    assert [row["state"] for row in master.run("status")["campaigns"]] == ["done"]
    assert there.occupied() == ({}, {})


def test_of_a_campaign_that_is_over_one_small_file_is_opened(master, there, over, monkeypatch):
    """``klp.status`` looks at all campaigns: what it costs must not grow with what they had to do."""
    opened, real = [], os.open

    def note(path, *args, **kwargs):
        opened.append(os.path.relpath(path, there.folder))
        return real(path, *args, **kwargs)

    monkeypatch.setattr(files.os, "open", note)
    master.run("status")
    assert opened == [f"campaigns/{over}/summary.json", "quarantine.json"]
    assert os.path.getsize(there.path(over, "summary.json")) < 2000
    opened.clear()
    assert there.occupied() == ({}, {}) and opened == [f"campaigns/{over}/summary.json"]


@pytest.mark.parametrize(
    "kind",
    [damage.flipped, damage.zeros, damage.a_folder, damage.a_list, damage.a_pipe],
    ids=lambda call: call.__name__,
)
def test_a_summary_that_is_damaged_or_missing_is_made_again(master, there, over, kind):
    wanted = there.finished(over)
    kind(there.path(over, "summary.json"))
    assert there.finished(over) in (None, wanted) and there.open_campaigns() == []
    if kind is not damage.a_folder:  # nothing can take the place of a folder
        assert [row["state"] for row in master.run("status")["campaigns"]] == ["done"]
        assert there.finished(over) == wanted


def test_no_damaged_byte_of_a_summary_is_believed(there, over):
    wanted, path = there.finished(over), there.path(over, "summary.json")
    data = open(path, "rb").read()
    for at in range(len(data)):
        for bit in (1, 4, 32, 128):
            with open(path, "wb") as handle:
                handle.write(data[:at] + bytes([data[at] ^ bit]) + data[at + 1 :])
            assert there.finished(over) in (None, wanted), (at, bit)


def test_a_summary_of_another_version_is_made_again(master, there, over, monkeypatch):
    """It may have to say more by now."""
    monkeypatch.setattr(store.klp_version, "VERSION", "9.0.0")
    assert there.finished(over) is None
    assert [row["state"] for row in master.run("status")["campaigns"]] == ["done"]
    assert there.finished(over)["state"] == "done"


def test_a_full_disk_does_not_keep_a_campaign_that_is_over_from_being_shown(master, there, over, monkeypatch):
    os.unlink(there.path(over, "summary.json"))

    def full(*args):
        raise files.DiskError("full")

    monkeypatch.setattr(files, "write", full)
    assert [row["state"] for row in master.run("status")["campaigns"]] == ["done"]


def test_what_is_over_goes_after_a_while_and_nothing_else(master, there, over, ill):
    """``ill`` is open, ``named`` is in the quarantine."""
    there.ban([{"package": PACKAGE, "edition": "9-1"}], "0" * 12, "why", 1)
    day = 86400
    master.fleet.time += 399 * day
    master.plan()
    assert {over, ill} <= set(there.ids()), "400 days is the default"
    there.ban([{"package": PACKAGE, "edition": "8-1"}], over, "why", 1)
    master.fleet.time += 2 * day
    master.plan(batch=1)
    assert over in there.ids(), "it is what quarantine tells of"
    there.release(PACKAGE, "8-1", "anna", 1)
    master.plan(batch=3)
    assert over not in there.ids() and ill in there.ids()


def test_a_kill_while_a_campaign_is_deleted_leaves_no_plan_that_could_run(there, ill, monkeypatch):
    """Only a name is changed first; what is left is deleted the next time."""
    monkeypatch.setattr(shelf.shutil, "rmtree", lambda path, ignore_errors: None)
    shelf.remove(there.campaigns, ill)
    assert there.ids() == [] and os.listdir(there.campaigns) == [f".gone-{ill}"]
    with pytest.raises(CommandExecutionError, match="there is no plan"):
        there.begin(ill)
    monkeypatch.undo()
    shelf.sweep(there.campaigns)
    assert os.listdir(there.campaigns) == []


# -- who ---------------------------------------------------------------------------------------------------------


def test_the_first_entry_says_who_approved_which_hash(master, there, over):
    first = there.entries(over)[0]
    assert {key: first[key] for key in ("what", "by", "master", "hash", "format")} == {
        "what": "begin",
        "by": "sudo_anna",
        "master": "master_master",
        "hash": there.plan(over)["hash"],
        "format": journal.FORMAT,
    }
    assert master.run("report", over)["report"]["history"][0] == first


@pytest.fixture
def person(master, monkeypatch):
    """Say who gives the next orders, as Salt's client for runners does: a global of all that it has loaded."""
    return lambda name: monkeypatch.setattr(master.runner, "__user__", name, raising=False)


def test_whoever_gave_an_order_is_in_the_journal_and_in_the_report(master, there, person):
    """With external auth all runners run as the user of the master: only Salt knows the person."""
    master.fleet.hosts["web0"].faults["bad"] = "klp-verified: failed: not active"
    person("anna")
    name = master.plan(quarantine=True)
    assert there.plan(name)["by"] == "anna"
    person("berta")
    there.begin(name, by="berta", master="master_master")
    person("carla")
    master.run("pause", name)
    assert master.run("run", name)["retcode"] == 5
    person("dora")
    assert master.run("resume", name)["retcode"] == 3
    person("emma")
    master.run("release", PACKAGE, NEW)
    found = master.run("report", name)
    assert [(item["what"], item["by"], item["master"]) for item in found["report"]["persons"]] == [
        ("plan", "anna", "master_master"),
        ("begin", "berta", "master_master"),
        ("pause", "carla", "master_master"),
        ("resume", "dora", "master_master"),
        ("release", "emma", "master_master"),
    ]
    assert {item["hash"] for item in found["report"]["persons"][:2]} == {there.plan(name)["hash"]}
    for said in (
        "anna made the plan",
        "berta approved it",
        "carla paused it",
        "dora let it go on",
        "emma released its",
    ):
        assert f" UTC: {said}" in found["text"]
    assert found["text"].endswith("emma released its live patch on master_master")


def test_who_lets_an_interrupted_campaign_go_on_is_in_its_journal(master, there, ill, person):
    person("frida")
    assert master.run("resume")["campaigns"] == [ill]
    (entry,) = [entry for entry in there.entries(ill) if entry["what"] == "resume"]
    assert (entry["by"], entry["master"], entry["number"]) == ("frida", "master_master", 0)
    assert there.entries(ill)[-1]["what"] == "end"


def test_who_ends_a_campaign_does_not_let_it_go_on(master, there, ill, person):
    person("gerda")
    assert master.run("abort", ill)["retcode"] == 4
    assert [entry["what"] for entry in there.entries(ill)] == ["begin", "open", "abort", "end"]
    assert there.entries(ill)[2]["by"] == "gerda"


@pytest.mark.parametrize(
    ("known", "shown"), [("UNKNOWN", "sudo_anna"), ("", "sudo_anna"), ("a\nb", "a b"), (7, "sudo_anna")]
)
def test_whom_salt_does_not_know_sudo_may_know(master, there, person, known, shown):
    person(known)
    assert there.plan(master.plan())["by"] == shown


def test_a_report_without_a_history_is_a_report(master, there, over, capsys):
    os.mkdir(os.path.join(there.folder, "history"))
    assert [item["what"] for item in master.run("report", over)["report"]["persons"]] == ["plan", "begin"]
    assert "who has released live patches is not known: " in capsys.readouterr().err


def test_an_approval_that_is_no_mapping_has_no_names(there, ill):
    damage.a_list(there.path(ill, "approval.json"))
    assert set(there.approval(ill)) == {"format", "program"}
