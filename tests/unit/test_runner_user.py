"""A master that does not run as root: what root has left, who else may write, and what is made for whom."""

import multiprocessing
import os
import pwd
import shutil
import tempfile

import pytest
from salt.exceptions import CommandExecutionError

from _runners.klp import folders, publish, store
from tests.unit import damage
from tests.unit.master import Master

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")

NOBODY = pwd.getpwnam("nobody")
# What root may have left, below the folder of campaigns: {ID} is a campaign that runs.
LEFT = [
    "",
    "campaigns",
    "campaigns/aside",
    "campaigns/{ID}",
    "campaigns/{ID}/plan.json",
    "campaigns/{ID}/journal",
    "campaigns/{ID}/approval.json",
    "campaigns/{ID}/wish.json",
    "campaigns/{ID}/summary.json",
    "campaigns/{ID}/driver",
    "campaigns/{ID}/gate",
    "quarantine.json",
    "history",
    "begin",
    "quarantine",
    "noting",
    "engine",
    "report",
    "report/report.json",
    "report/vex",
    "report/vex/hosts",
    "report/vex/hosts/gone.openvex.json",
]
# A campaign is summed up anew, and what a report has written is replaced; what was set aside is not looked at.
REPLACED = {
    "campaigns/aside",
    "campaigns/{ID}/summary.json",
    "report/report.json",
    "report/vex/hosts/gone.openvex.json",
}


@pytest.fixture
def home():
    """A folder that everybody can reach; that of pytest belongs to root alone."""
    folder = tempfile.mkdtemp(prefix="klp-user-")
    os.chmod(folder, 0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def rich(home, monkeypatch):
    """A master whose folder of campaigns has a file of each kind."""
    master = Master(home, monkeypatch)
    there = damage.store(master)
    name = damage.begun(master, there)
    master.run("pause", name)
    there.finish(name, {"id": "other"})
    there.ban([{"package": "p", "edition": "1-1"}, {"package": "p", "edition": "2-1"}], name, "why", 0)
    master.run("release", "p", "1-1")
    damaged = master.plan(target="web3")
    damage.flipped(there.path(damaged, damage.PLAN))
    master.run("set_aside", damaged)
    master.run("report", ask="none")
    vex = os.path.join(there.folder, "report/vex/hosts")
    os.makedirs(vex)
    open(os.path.join(vex, "gone.openvex.json"), "w").close()
    with there.driving(name), there.gate(name), there.engine(), there.beginning():
        pass
    commands = [
        ("plan",),
        ("status",),
        ("status", name),
        ("run", name),
        ("resume", name, False),
        ("resume", name),
        ("resume",),
        ("pause", name),
        ("abort", name),
        ("report", name),
        ("report", None, "none"),
        ("quarantined",),
        ("release", "p", "2-1"),
        ("audit",),
        ("set_aside", name),
    ]
    return master, there, name, commands


def owned(folder, user):
    for place, _, names in os.walk(folder):
        for path in [place, *(os.path.join(place, name) for name in names)]:
            os.chown(path, user.pw_uid, user.pw_gid)


def as_nobody(work):
    """Return what work returns in a process that is nobody."""
    fork = multiprocessing.get_context("fork")
    reading, writing = fork.Pipe(duplex=False)

    def become():
        os.setgroups([])
        os.setegid(NOBODY.pw_gid)
        os.seteuid(NOBODY.pw_uid)  # the capabilities of root are gone with it
        writing.send(work())

    child = fork.Process(target=become)
    child.start()
    writing.close()
    found = reading.recv()  # EOFError: an exception, which the process has printed
    child.join()
    return found


def answers(master, commands):
    """Return what each command answers: exit code and text."""
    found = {}
    for command in commands:
        answer = master.run(*command)
        found[" ".join(map(str, command))] = (answer["retcode"], answer["text"])
    return found


def test_every_kind_of_file_is_tried(rich):
    _, there, name, _ = rich
    here = set()
    for place, places, names in os.walk(there.folder):
        here |= {os.path.relpath(os.path.join(place, item), there.folder) for item in places + names}
    tried = {path.format(ID=name) for path in LEFT}
    made_anew = {f"report/{item}" for item in ("report.csv", "report.html", "salt_klp.prom")}
    assert tried - here == {""}
    left = {path for path in here - tried - made_anew if not path.startswith("campaigns/aside/")}
    assert left == set(), "a kind of file that nobody tries"


@pytest.mark.parametrize("left", LEFT)
def test_what_root_has_left_is_one_sentence_with_the_command_that_helps(rich, left):
    master, there, name, commands = rich
    owned(there.folder, NOBODY)
    path = os.path.join(there.folder, left.format(ID=name)).rstrip("/")
    os.chown(path, 0, 0)
    os.chmod(path, 0o700 if os.path.isdir(path) else 0o600)
    found = as_nobody(lambda: answers(master, commands))
    said = [text for _, text in found.values() if f"chown -R nobody: {there.folder}" in text]
    refused = [text for code, text in found.values() if code == 1 and "Permission denied" in text]
    assert bool(said) == (left not in REPLACED), found
    for text in refused:
        assert "chown -R nobody: " in text, text
    # The command is run, and all is well.
    owned(there.folder, NOBODY)
    cured = as_nobody(lambda: answers(master, [("status",), ("quarantined",), ("report", None, "none")]))
    assert not [text for _, text in cured.values() if "Permission denied" in text], cured


def test_a_campaign_runs_as_somebody_else_than_root(home, monkeypatch):
    master = Master(home, monkeypatch)
    os.chown(home, NOBODY.pw_uid, NOBODY.pw_gid)

    def course():
        name = master.plan()
        return [name, master.run("run", name)["retcode"], master.run("report", name)["retcode"]]

    name, *codes = as_nobody(course)
    assert codes == [0, 0]
    # Root looks, and goes on: nothing is left that nobody could not read.
    master.opts["user"] = "nobody"
    for command in (("status", name), ("plan",), ("report", None, "none"), ("release", "p", "1-1")):
        master.run(*command)
    there = damage.store(master)
    for place, places, names in os.walk(there.folder):
        for item in places + names:
            assert os.lstat(os.path.join(place, item)).st_uid == NOBODY.pw_uid, item


def test_the_folder_that_root_makes_belongs_to_the_user_of_the_master(home):
    there = store.Store(f"{home}/var/lib/klp", "nobody")
    assert os.stat(there.folder).st_uid == os.stat(there.campaigns).st_uid == NOBODY.pw_uid
    assert os.stat(f"{home}/var/lib").st_uid == 0
    assert {os.stat(path).st_mode & 0o777 for path in (there.folder, there.campaigns)} == {0o700}


def test_a_folder_that_is_there_keeps_its_mode(home):
    """klp_folder: /srv was hidden from everybody."""
    there = store.Store(home)
    assert os.stat(home).st_mode & 0o777 == 0o755
    assert os.stat(there.campaigns).st_mode & 0o777 == 0o700


@pytest.mark.parametrize(("mode", "gid"), [(0o777, 0), (0o1777, 0), (0o757, 0), (0o775, NOBODY.pw_gid)])
def test_a_folder_that_others_can_write_into_is_not_believed(home, mode, gid):
    os.chown(home, 0, gid)
    os.chmod(home, mode)
    said = f"{home}: others can write into it, .* run: chmod go-w {home}, or name another folder .* klp_folder$"
    with pytest.raises(CommandExecutionError, match=said):
        store.Store(home)
    os.chmod(home, 0o755)
    store.Store(home)
    os.chmod(f"{home}/campaigns", 0o777)
    with pytest.raises(CommandExecutionError, match=f"^{home}/campaigns: others can write into it"):
        store.Store(home)


def test_nor_is_one_below_a_folder_that_others_can_write_into(home):
    os.chmod(home, 0o777)
    with pytest.raises(CommandExecutionError, match=f"^{home}: others can write into it, .* chmod go-w {home},"):
        store.Store(f"{home}/klp")
    os.chmod(home, 0o1777)
    store.Store(f"{home}/klp")


def test_nor_is_one_of_somebody_else(home):
    os.chown(home, NOBODY.pw_uid, 0)
    with pytest.raises(
        CommandExecutionError, match=rf"belongs to another user \(id {NOBODY.pw_uid}\), .*chown -R root: "
    ):
        store.Store(home)
    store.Store(home, "nobody")


def test_the_group_of_the_master_may_write(home):
    os.chown(home, 0, NOBODY.pw_gid)
    os.chmod(home, 0o770)
    assert store.Store(home, "nobody").ids() == []


def test_a_user_that_has_no_name_can_have_a_folder(home, monkeypatch):
    monkeypatch.setattr(folders.pwd, "getpwuid", lambda uid: {}[uid])
    store.Store(home)


def test_a_folder_that_cannot_be_made_is_named_with_the_way_to_make_it(home):
    open(f"{home}/file", "w").close()
    with pytest.raises(CommandExecutionError, match="klp: .*; make it .*: install -d -m 0700 -o root .*klp$"):
        store.Store(f"{home}/file/klp")

    def refused():
        try:
            store.Store(f"{home}/klp")
        except CommandExecutionError as exc:
            return str(exc)

    said = f"{home}/klp: Permission denied; make it for the user of the master: install -d -m 0700 -o nobody {home}/klp"
    assert as_nobody(refused) == said


def test_a_report_in_a_folder_of_others_belongs_to_who_writes_it(home):
    os.chown(home, NOBODY.pw_uid, NOBODY.pw_gid)
    publish.Folder(f"{home}/klp").put("report.json", "{}")
    assert os.stat(f"{home}/klp/report.json").st_uid == 0


def denied(*args, **kwargs):
    raise PermissionError(13, "Permission denied", *args[:1])


def test_what_is_denied_in_this_process_is_said_with_the_command_that_helps(home, monkeypatch):
    """What a process that is nobody does is not counted as covered."""
    report = publish.Folder(f"{home}/report")
    report.replace("vex", [("hosts/web1.openvex.json", "{}")])
    walk = lambda base, onerror: onerror(PermissionError(13, "Permission denied", base))  # noqa: E731
    with monkeypatch.context() as patch:
        patch.setattr(folders.os, "mkdir", denied)
        said = rf"^{home}: Permission denied \(as user root\); .*chown -R root: {home}$"
        with pytest.raises(CommandExecutionError, match=said):
            store.Store(home)
    with monkeypatch.context() as patch:
        patch.setattr(publish.os, "unlink", denied)
        with pytest.raises(CommandExecutionError, match=rf"web1\S+: cannot be removed .*chown -R root: {home}/report$"):
            report.replace("vex", [])
    with monkeypatch.context() as patch:
        patch.setattr(publish.os, "walk", walk)
        with pytest.raises(CommandExecutionError, match=rf"vex: cannot be read .*chown -R root: {home}/report$"):
            report.replace("vex", [])
