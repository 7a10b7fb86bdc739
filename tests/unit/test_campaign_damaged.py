"""One bad file stops one campaign: it is named, keeps its hosts, and everything else goes on."""

import os

import pytest

from _runners.klp import files, journal, store, turning
from tests.simulation.world import NEW
from tests.unit import damage
from tests.unit.damage import JOURNAL, PLAN


@pytest.mark.parametrize("file", [JOURNAL, PLAN])
@pytest.mark.parametrize("kind", damage.DAMAGE, ids=lambda call: call.__name__)
def test_a_damaged_campaign_is_named_keeps_its_hosts_and_stops_nothing_else(master, there, ill, kind, file):
    kind(there.path(ill, file))
    assert list(master.run("status")["damaged"]) == [ill]
    assert f"cannot be used:\n  {ill}: " in master.run("status")["text"]
    assert there.occupied() == ({"web0": ill}, {})
    for command in ("status", "resume", "run", "report", "pause", "abort"):
        assert "; " in master.refused(command, ill), "what is wrong, and the cure"
    plan = master.run("plan")["plan"]
    assert plan["left_out"] == {"web0": ["refused", f"it is in campaign {ill}, which is not over"]}
    assert master.run("run", plan["id"])["retcode"] == 2, "all but web0"
    assert {master.fleet.hosts[host].edition for host in ("web1", "web2", "web3")} == {NEW}
    again = master.run("resume")
    assert (again["retcode"], list(again["damaged"])) == (1, [ill])
    assert f"campaign {ill} is not driven: " in again["text"]
    assert [row["id"] for row in master.run("status")["campaigns"]] == [plan["id"]]


def test_what_is_damaged_does_not_keep_another_campaign_from_going_on(master, there, ill):
    other = master.plan(target="w*")
    there.begin(other)
    damage.flipped(there.path(ill, JOURNAL))
    answer = master.run("resume")
    assert answer["campaigns"] == [other] and list(answer["damaged"]) == [ill]
    assert there.finished(other)["state"] == "incomplete", "web0 is left out"


def test_entries_that_do_not_fit_the_plan_are_damage_too(master, there, ill):
    with there.driving(ill) as entries:
        entries.append({"what": "ready", "at": 3, "hosts": {"nobody": {}}})
    assert "does not fit its plan (KeyError('nobody')); restore it" in master.refused("status", ill)
    assert list(master.run("resume")["damaged"]) == [ill]


def test_where_nobody_knows_the_hosts_no_other_campaign_begins(master, there, ill):
    damage.flipped(there.path(ill, PLAN))
    os.unlink(there.path(ill, "approval.json"))
    answer = master.run("plan", pillar={"klp_campaign": {"target": "w*"}})
    assert f"the hosts of campaign {ill} are unknown" in answer["text"]
    sentence = master.refused("run", answer["plan"]["id"])
    assert sentence.startswith(f"the hosts of campaign {ill} are unknown, and no other campaign begins")
    assert f"salt-run klp.set_aside {ill}" in sentence
    assert master.fleet.sent == {}
    master.run("set_aside", ill)
    assert master.run("run", answer["plan"]["id"])["retcode"] == 0


def test_of_a_campaign_that_has_lost_both_files_the_hosts_are_known(master, there, ill):
    os.unlink(there.path(ill, PLAN))
    os.unlink(there.path(ill, JOURNAL))
    assert there.occupied() == ({"web0": ill}, {})
    found = master.run("status")
    assert f"{PLAN}: is missing; restore it from a backup, or set the campaign aside" in found["damaged"][ill]
    assert found["damaged"][ill].endswith("; until then its hosts stay taken")


def test_a_kill_before_anything_was_approved_leaves_a_plan_that_can_be_begun_again(master, there, monkeypatch):
    """Its journal comes first: it is begun, nobody knows by whom, and it goes on."""
    name = master.plan()

    def kill(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(there, "_approve", kill)
    with pytest.raises(KeyboardInterrupt):
        there.begin(name, by="anna")
    assert there.open_campaigns() == [name] and there.entries(name) == []
    assert master.run("run", name)["retcode"] == 0


def test_what_is_damaged_and_over_or_never_begun_keeps_no_hosts(master, there, ill):
    with there.driving(ill) as entries:
        entries.append({"what": "end", "at": 3, "result": "aborted"})
    never = master.plan(target="w*")
    for name in (ill, never):
        damage.flipped(there.path(name, PLAN))
    damaged = master.run("status")["damaged"]
    assert set(damaged) == {ill, never} and "stay taken" not in str(damaged)
    assert there.occupied() == ({}, {})


def test_what_the_user_of_the_master_cannot_read_is_named_with_the_command_that_cures_it(
    master, there, ill, monkeypatch
):
    """As left by root; the tests may run as root, who can read everything."""
    real = os.open

    def deny(path, *args, **kwargs):
        if ill in str(path):
            raise PermissionError(13, "Permission denied", path)
        return real(path, *args, **kwargs)

    monkeypatch.setattr(files.os, "open", deny)
    monkeypatch.setattr(files, "user", lambda: "salt")
    found = master.run("status")
    assert f"{ill}/plan.json: cannot be read (Permission denied, as user salt); " in found["text"]
    assert f"give it to the user that the master runs as: chown -R salt: {there.folder}" in found["text"]
    assert "set_aside" not in found["text"], "what cannot be read cannot be moved either"
    assert list(there.occupied()[1]) == [ill]
    assert "Permission denied" in master.refused("set_aside", ill)


def test_a_folder_that_cannot_be_looked_into_is_a_campaign_and_has_begun(there, ill, monkeypatch):
    def deny(path):
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(files.os, "lstat", deny)
    assert there.ids() == [ill] and there.open_campaigns() == [ill]
    monkeypatch.setattr(store, "KEPT", 0)
    assert not there._idle(ill), "and never deleted as a plan that never ran"


def test_a_folder_of_all_campaigns_that_cannot_be_read_stops_all(master, there, monkeypatch):
    def deny(path):
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(store.os, "listdir", deny)
    assert "chown -R" in master.refused("status")


@pytest.mark.parametrize("text", ["{", "[1]", '[{"package": 1}]', "null", '{"a": 1}'])
def test_without_a_quarantine_that_can_be_read_nothing_starts(master, there, text):
    name = master.plan()
    with open(os.path.join(there.folder, "quarantine.json"), "w") as handle:
        handle.write(text)
    for command in (("run", name), ("plan",), ("quarantined",), ("release", "p", "1-1")):
        assert "no campaign starts a host before it is repaired; restore it" in master.refused(*command)
    found = master.run("status")
    assert "quarantine.json" in found["damaged"]["quarantine"] and [row["id"] for row in found["campaigns"]] == [name]
    assert not there.begun(name) and master.fleet.sent == {}


BANNED: dict = {"package": "p", "edition": "1-1", "campaign": "c1", "since": 1, "why": "w"}


@pytest.mark.parametrize(
    ("item", "said"),
    [
        (dict(BANNED, since=2**62), "2:since: wanted a whole number from 0 to 253402300799, found 4611686018427387904"),
        (dict(BANNED, edition=None), "2:edition: wanted a name or an edition, found None"),
        (dict(BANNED, why=["x"]), "2:why: wanted a text, found a list of 1 value"),
        ({key: BANNED[key] for key in BANNED if key != "campaign"}, "2:campaign: it is missing"),
        ([], "2: wanted a mapping of certain keys, found a list of 0 values"),
    ],
)
def test_what_is_wrong_with_the_quarantine_is_said_with_its_path(there, item, said):
    files.write(os.path.join(there.folder, "quarantine.json"), [BANNED])
    assert there.quarantine() == [BANNED]
    files.write(os.path.join(there.folder, "quarantine.json"), [BANNED, item])
    with pytest.raises(files.DamagedError, match="no campaign starts a host before it is repaired") as raised:
        there.quarantine()
    assert f"quarantine.json: is damaged: {said}; " in str(raised.value)


def test_the_way_back_needs_no_quarantine(master, there):
    """Hosts that are ill must not wait for a file that no rollback looks into."""
    damage.a_list(os.path.join(there.folder, "quarantine.json"))
    plan = master.run("plan", "rollback")["plan"]
    assert plan["kind"] == "rollback" and master.run("run", plan["id"])["retcode"] == 0


@pytest.mark.parametrize("text", ["{", "[]", '{"want": "dance", "number": 1, "by": "x"}', '{"want": "pause"}'])
def test_a_wish_that_cannot_be_read_stops_its_campaign(master, there, ill, text):
    with open(there.path(ill, "wish.json"), "w") as handle:
        handle.write(text)
    for command in ("resume", "pause", "abort"):
        assert "wish.json: " in master.refused(command, ill)
    assert master.fleet.sent == {}


@pytest.mark.parametrize("lock", ["driver", "gate"])
def test_a_lock_that_is_no_file_is_named_and_stops_its_campaign_only(master, there, ill, lock):
    for name in ("driver", "gate"):
        if os.path.exists(there.path(ill, name)):
            os.unlink(there.path(ill, name))
    os.mkdir(there.path(ill, lock))
    other = master.plan(target="w*")
    there.begin(other)
    answer = master.run("resume")
    assert f"{ill}/{lock}: cannot be read (Is a directory); remove it, it is only a lock" in answer["text"]
    assert there.finished(other)["state"] == "incomplete", "web0 is left out"


def test_of_two_campaigns_the_one_whose_file_is_damaged_meanwhile_waits_alone(master, there, ill, monkeypatch):
    """And nobody holds it: as soon as the file is mended it can be driven by another process."""
    other = master.plan(target="w*")
    there.begin(other)
    send, held = master.fleet.send, []

    def harm(*args, **kwargs):
        held.append(there.driven(ill))
        open(there.path(ill, "wish.json"), "w").write("{")
        return send(*args, **kwargs)

    monkeypatch.setattr(master.fleet, "send", harm)
    answer = master.run("resume")
    assert answer["retcode"] == 9 and there.finished(other)["state"] == "incomplete"
    assert f"campaign {ill} has to wait: {there.path(ill, 'wish.json')}: cannot be read" in answer["text"]
    assert f"go on with: salt-run klp.resume {ill}" in answer["text"]
    assert held[0] and not held[-1]


def test_a_disk_that_fills_up_in_mid_campaign_is_no_refusal(master, there, monkeypatch):
    room: list = []
    name, append = master.plan(), journal.Journal.append

    def full(self, entry):
        if entry["what"] == "ended" and not room:
            raise files.unwritable(self.path, OSError(28, "No space left on device"))
        return append(self, entry)

    monkeypatch.setattr(journal.Journal, "append", full)
    answer = master.run("run", name)
    assert answer["retcode"] == 9 and "refused" not in answer["text"]
    path = there.path(name, JOURNAL)
    assert answer["text"].startswith(f"campaign {name} has to wait: {path}: cannot be written (No space left")
    assert "; make room\nIts journal has all that was done, and hosts that run finish; go on with:" in answer["text"]
    room.append("made")
    assert master.run("resume")["retcode"] == 0
    assert len(master.fleet.sent) == 3, "no host was started twice"


# -- files -------------------------------------------------------------------------------------------------------


def test_a_user_without_a_name_has_a_number(monkeypatch):
    monkeypatch.setattr(files.os, "geteuid", lambda: 4294967000)
    assert files.user() == "4294967000"


@pytest.mark.parametrize(("number", "error"), [(28, files.DiskError), (13, files.DamagedError)])
def test_a_lock_that_cannot_be_opened_is_said(there, ill, monkeypatch, number, error):
    def refuse(*args):
        raise OSError(number, "no")

    monkeypatch.setattr(files.os, "open", refuse)
    with pytest.raises(error):
        there.driven(ill)
    with pytest.raises(error):
        journal.Journal(there.path(ill, JOURNAL))


def test_a_torn_line_that_cannot_be_cut_off_is_said(there, ill, monkeypatch):
    with open(there.path(ill, JOURNAL), "ab") as handle:
        handle.write(b"torn")

    def refuse(*args):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(journal.os, "ftruncate", refuse)
    with pytest.raises(files.DiskError, match="Input/output error"):
        journal.Journal(there.path(ill, JOURNAL))


def test_a_plan_without_room_is_said(there, tmp_path, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(store.os, "makedirs", full)
    with pytest.raises(files.DiskError, match="No space left on device.; make room"):
        there.save({"id": "c" * 12})


def test_a_folder_that_cannot_be_flushed_is_said(there, ill, monkeypatch):
    def refuse(*args):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(files.os, "fsync", refuse)
    with pytest.raises(files.DiskError, match=f"{ill}: cannot be written .Input/output error"):
        files.flush(there.path(ill))


def test_who_drives_one_campaign_is_told_its_error():
    class Ill:
        def step(self):
            raise files.DiskError("full")

    with pytest.raises(files.DiskError, match="full"):
        turning.turn([Ill()])
