"""Snapshots of a logical volume: named, tagged, big enough, never full, and only of ours."""

import hashlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from salt.exceptions import CommandExecutionError

import klp_lvm
from tests.unit.backups import BACKUP, CLASSIC, HOST, NAME, OTHER, RUN, TAGS, report
from tests.unit.loader import recorded

THIN = {"device": "254:5", "type": "ext4", "source": "/dev/mapper/system-root"}
TOKEN = {"klp_restore": BACKUP, "klp_since": 77, "klp_boot": "b1"}
SNAPSHOT = {"lv_name": NAME, "lv_attr": "Vwi---tz--", "origin": "root", "pool_lv": "pool"}
SNAPSHOT.update(lv_tags=f"klp_host={HOST},klp_run={RUN}", data_percent="55.01", lv_kernel_minor="6")


class Lvm:
    """Answers like lvs and keeps what else it was asked."""

    def __init__(self, text):
        self.text, self.calls = text, []

    def __call__(self, argv, ok=(0,)):
        if argv[0] != "lvs":
            self.calls.append(argv)
        return {"retcode": 0, "stdout": self.text, "stderr": ""}


def job(root=CLASSIC, **fields):
    return dict({"run": RUN, "host": HOST, "known": [], "size": 20, "root": root, "boot": "b1"}, **fields)


def test_a_report_is_read():
    first, root, swap = klp_lvm.volumes(recorded("lvm/classic.json"))
    assert (first["id"], first["data_percent"], first["origin"]) == (BACKUP, 0.41, "root")
    assert first["lv_tags"] == [f"klp_host={HOST}", f"klp_run={RUN}"]
    assert (root["lv_size"], root["vg_free"], root["data_percent"], root["lv_tags"]) == (10 << 30, 8 << 30, None, [])
    assert swap["id"] == "system/swap"
    assert klp_lvm.volumes('{"report": [{"lv": []}], "log": []}') == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "LV VG",
        "[]",
        "{}",
        '{"report": {}}',
        '{"report": [[]]}',
        '{"report": [{}]}',
        '{"report": [{"lv": {}}]}',
        '{"report": [{"lv": [1]}]}',
        '{"report": [{"lv": [{}]}]}',
        report("classic", root={"lv_size": "10g"}),
        report("classic", root={"lv_size": 10}),
        report("classic", root={"vg_free": "-1"}),
        report("classic", root={"data_percent": "full"}),
        report("classic", root={"lv_attr": "odd one"}),
        report("classic", root={"lv_name": "--help"}),
        report("classic", root={"vg_name": "a b"}),
        report("classic", root={"more": "x"}),
    ],
)
def test_another_answer_is_an_error(text):
    with pytest.raises(ValueError, match="^lvs: "):
        klp_lvm.volumes(text)
    with pytest.raises(CommandExecutionError, match="^backup: lvs: "):
        klp_lvm.find(Lvm(text), job())


@pytest.mark.parametrize(
    ("run", "taken", "name"),
    [
        (RUN, [], NAME),
        (RUN, [NAME], f"{NAME}-2"),
        (RUN, [NAME, f"{NAME}-2"], f"{NAME}-3"),
        ("spring-2024.1", [], "klp_spring-2024.1"),
        ("a:b", [], f"klp_a_b-{hashlib.sha256(b'a:b').hexdigest()[:8]}"),
    ],
)
def test_a_snapshot_is_named_after_its_run(run, taken, name):
    assert klp_lvm.volume_name(run, taken) == name


@given(st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}", fullmatch=True) | st.just("mlog") | st.just("x_tmeta_tdata"))
def test_every_run_has_a_name_that_lvm_takes(run):
    name = klp_lvm.volume_name(run, [])
    assert re.fullmatch(r"klp_[A-Za-z0-9_.+-]{1,60}", name) and not klp_lvm.RESERVED.search(name)
    assert klp_lvm.volume_name(run.replace(".", ":"), []) != name or "." not in run


def test_a_classic_snapshot_has_room_for_its_share():
    call = Lvm(report("classic", klp=None))
    assert klp_lvm.create(call, job()) == BACKUP
    argv = ["lvcreate", "--yes", "--snapshot", "--name", NAME, "--setactivationskip", "n"]
    argv += ["--addtag", f"klp_run={RUN}", "--addtag", f"klp_host={HOST}", "--extents", "512", "system/root"]
    assert call.calls == [argv]


def test_a_thin_snapshot_needs_no_size():
    call = Lvm(recorded("lvm/thin.json"))
    assert klp_lvm.create(call, job(THIN)) == BACKUP
    assert call.calls[0][-3:] == ["--addtag", f"klp_host={HOST}", "system/root"]


@pytest.mark.parametrize(
    ("name", "changes", "root", "message"),
    [
        (
            "classic",
            {"root": {"vg_free": "1048576"}},
            CLASSIC,
            (
                "volume group system has 1 MiB free, a snapshot with room for 20 percent of system/root (10240 MiB) "
                "needs 2048 MiB: add a disk (vgextend system DEVICE) or set pillar klp:backup:size to less"
            ),
        ),
        (
            "thin",
            {"pool": {"data_percent": "90.00"}},
            THIN,
            "thin pool system/pool: its data is 90 percent full, extend it with: lvextend --size +SIZE system/pool",
        ),
        (
            "thin",
            {"pool": {"metadata_percent": "97.30"}},
            THIN,
            (
                "thin pool system/pool: its metadata is 97.3 percent full, extend it with: "
                "lvextend --poolmetadatasize +SIZE system/pool"
            ),
        ),
        ("thin", {"pool": None}, THIN, "thin pool system/pool: lvs does not tell how full it is"),
        ("thin", {"pool": {"data_percent": ""}}, THIN, "thin pool system/pool: lvs does not tell how full it is"),
        (
            "classic",
            {},
            dict(CLASSIC, type="btrfs"),
            "backup: the root file system is btrfs, backend lvm knows ext3, ext4, xfs; use snapper there",
        ),
        (
            "classic",
            {},
            dict(CLASSIC, type="jfs"),
            "backup: the root file system is jfs, backend lvm knows ext3, ext4, xfs",
        ),
        (
            "classic",
            {},
            dict(CLASSIC, device="8:1"),
            "backup: the root volume /dev/mapper/system-root (8:1) is no logical volume that lvs shows",
        ),
    ],
)
def test_where_no_snapshot_can_be_made_the_reason_and_the_way_on_are_told(name, changes, root, message):
    call = Lvm(report(name, **changes))
    with pytest.raises(CommandExecutionError) as error:
        klp_lvm.create(call, job(root))
    assert str(error.value) == message and call.calls == []


@pytest.mark.parametrize(
    ("changes", "known", "found"),
    [
        ({}, [], BACKUP),
        ({}, [BACKUP], None),
        ({"klp": None}, [], None),
        ({"klp": {"lv_tags": f"klp_run={RUN}"}}, [], None),
        ({"klp": {"lv_tags": f"klp_run=other,klp_host={HOST}"}}, [], None),
        ({"klp": {"origin": "swap"}}, [], None),
        ({"klp": {"origin": ""}}, [], None),
    ],
)
def test_what_was_made_but_not_remembered_is_found(changes, known, found):
    assert klp_lvm.find(Lvm(report("classic", **changes)), job(known=known)) == found


def test_the_root_volume_is_never_taken_for_a_snapshot_though_it_has_the_tags_of_one():
    text = report("thin", root={"lv_tags": f"klp_host={HOST},klp_run={RUN}"})
    assert klp_lvm.find(Lvm(text), job(THIN)) is None
    assert klp_lvm.there(Lvm(text), job(THIN), "system/root") == "foreign"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"klp": None}, f"LVM has no such snapshot of run {RUN}"),
        ({"klp": {"lv_tags": "klp_run=other"}}, f"LVM has no such snapshot of run {RUN}"),
        ({"klp": {"lv_tags": f"klp_run={RUN},klp_host={OTHER}"}}, f"was made by another host (machine id {OTHER})"),
        ({"klp": {"origin": "swap"}}, "is a snapshot of swap, not of /"),
        ({"klp": {"origin": ""}}, "is a snapshot of nothing, not of /"),
        ({"klp": {"data_percent": "100.00"}}, "the snapshot is not valid (lvs: swi-a-s---, 100.0 percent full)"),
        ({"klp": {"lv_attr": "swi-I-s---"}}, "the snapshot is not valid (lvs: swi-I-s---, 0.41 percent full)"),
        ({"klp": {"data_percent": ""}}, "the snapshot is not valid (lvs: swi-a-s---, None percent full)"),
    ],
)
def test_a_snapshot_that_is_not_good_is_refused(changes, message):
    with pytest.raises(CommandExecutionError, match="^backup " + BACKUP + ".*" + re.escape(message)):
        klp_lvm.verify(Lvm(report("classic", **changes)), job(), BACKUP)


@pytest.mark.parametrize(
    ("changes", "root", "spent"),
    [
        ({"klp": {"data_percent": "100.00"}}, CLASSIC, True),
        ({"klp": {"lv_attr": "swi-I-s---"}}, CLASSIC, True),
        ({"klp": {"lv_attr": "swi-S-s---", "data_percent": ""}}, CLASSIC, True),
        ({}, CLASSIC, False),
        ({"klp": None}, CLASSIC, False),
        ({"klp": {"data_percent": ""}}, CLASSIC, False),
        ({"klp": {"lv_attr": "swi-s-s---"}}, CLASSIC, False),  # suspended for a moment
        ({"klp": {"lv_attr": "swi-m-s---"}}, CLASSIC, False),  # a merge that failed is tried again
        ({"klp": {"lv_attr": "Swi-a-s---", "data_percent": "100.00"}}, CLASSIC, False),  # being merged
        ({"klp": {"lv_tags": f"klp_run=other,klp_host={HOST}", "data_percent": "100.00"}}, CLASSIC, False),
        ({"klp": {"lv_tags": f"klp_run={RUN},klp_host={OTHER}", "data_percent": "100.00"}}, CLASSIC, False),
        ({"klp": dict(SNAPSHOT, data_percent="100.00")}, THIN, False),  # a thin one shares the room of its pool
    ],
)
def test_only_a_classic_snapshot_of_ours_that_ran_full_is_spent(changes, root, spent):
    call = Lvm(report("thin" if root is THIN else "classic", **changes))
    assert klp_lvm.spent(call, job(root), BACKUP) is spent


def test_a_snapshot_that_is_good_is_verified():
    klp_lvm.verify(Lvm(recorded("lvm/classic.json")), job(), BACKUP)
    klp_lvm.verify(Lvm(report("thin", klp=SNAPSHOT)), job(THIN), BACKUP)


def test_a_snapshot_is_looked_at_read_only_and_its_journal_left_alone():
    call = Lvm(recorded("lvm/classic.json"))
    path = f"/dev/{BACKUP}"
    options = "ro,norecovery,nouuid,nosuid,nodev,noexec"
    assert klp_lvm.mounting(call, job(), BACKUP) == ["mount", "-t", "xfs", "-o", options, path]
    assert klp_lvm.mounting(call, job(THIN), BACKUP)[4] == "ro,noload,nosuid,nodev,noexec"
    for text in (report("classic", klp=None), report("classic", klp={"lv_path": ""})):
        with pytest.raises(CommandExecutionError, match="lvs names no device of it$"):
            klp_lvm.mounting(Lvm(text), job(), BACKUP)


@pytest.mark.parametrize(
    ("changes", "whose"),
    [
        ({}, "ours"),
        ({"klp": None}, "gone"),
        ({"klp": {"lv_tags": ""}}, "foreign"),
        ({"klp": {"origin": ""}}, "ours"),  # measured: after another thin snapshot was merged
    ],
)
def test_whose_a_volume_is(changes, whose):
    assert klp_lvm.there(Lvm(report("classic", **changes)), job(), BACKUP) == whose


def test_a_snapshot_is_removed_by_its_name():
    call = Lvm("")
    klp_lvm.delete(call, job(), BACKUP)
    assert call.calls == [["lvremove", "--yes", BACKUP]]


def test_a_snapshot_is_merged_at_the_next_start_and_leaves_tags_on_both():
    call = Lvm(report("classic", root={"lv_tags": "mine,klp_boot=b0"}))
    klp_lvm.restore(call, job(), BACKUP, TOKEN)
    added = ["--addtag", "klp_boot=b1", "--addtag", f"klp_restore={BACKUP}", "--addtag", "klp_since=77"]
    assert call.calls == [
        ["lvchange", "--deltag", "klp_boot=b0"] + added + ["system/root"],
        ["lvchange"] + added + [BACKUP],
        ["lvconvert", "--yes", "--merge", BACKUP],
    ]


def test_a_merge_that_waits_is_not_asked_for_again():
    call = Lvm(report("classic", klp=None, root={"lv_attr": "Owi-aos---", "lv_tags": TAGS[0]}))
    klp_lvm.restore(call, job(), BACKUP, TOKEN)
    assert call.calls == []


@pytest.mark.parametrize(
    ("fields", "boot", "active"),
    [
        ({"lv_tags": ""}, "b1", None),
        ({"lv_tags": "mine,klp_boot=b1"}, "b1", None),
        ({"lv_tags": TAGS[0]}, "b1", None),
        ({"lv_tags": TAGS[0], "lv_attr": "Owi-aos---"}, "b1", False),
        ({"lv_tags": TAGS[0], "lv_attr": "Owi-aos---"}, "b2", True),
        ({"lv_tags": TAGS[0] + ",klp_flag"}, "b2", True),
    ],
)
def test_the_root_volume_tells_of_a_restoration(fields, boot, active):
    found = klp_lvm.trace(Lvm(report("classic", root=fields)), job(boot=boot))
    assert found == (
        None if active is None else {"klp_restore": BACKUP, "klp_since": "77", "klp_boot": "b1", "active": active}
    )
