"""Small files: what salt-klp remembers, sysfs, procfs, ini files."""

import json
import os
import stat

import pytest
from salt.exceptions import CommandExecutionError

import klp_paths
import klp_record
import klp_sys


def put(root, **files):
    for name, text in files.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def test_what_is_written_is_read_again_and_private(tmp_path):
    folder = tmp_path / "salt-klp"
    klp_record.write("runs", [{"run": "ä"}], folder=str(folder))
    assert klp_record.read("runs", [], folder=str(folder)) == [{"run": "ä"}]
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert [(path.name, stat.S_IMODE(path.stat().st_mode)) for path in folder.iterdir()] == [("runs.json", 0o600)]


def test_nothing_written_is_the_default(tmp_path):
    assert klp_record.read("runs", ["default"], folder=str(tmp_path / "none")) == ["default"]


@pytest.mark.parametrize("text", [b"", b"[1,", b"\xff\xfe", b"\x00\x00\x00"])
def test_a_damaged_file_is_an_error_and_never_nothing(tmp_path, text):
    (tmp_path / "runs.json").write_bytes(text)
    with pytest.raises(CommandExecutionError, match="runs.json: cannot be read .*; repair it or move it away$"):
        klp_record.read("runs", [], folder=str(tmp_path))


def test_a_folder_in_place_of_a_file_is_an_error(tmp_path):
    (tmp_path / "runs.json").mkdir()
    with pytest.raises(CommandExecutionError, match="runs.json: cannot be read"):
        klp_record.read("runs", [], folder=str(tmp_path))


def test_something_of_another_type_is_an_error(tmp_path):
    (tmp_path / "runs.json").write_text(json.dumps({"run": 1}))
    with pytest.raises(CommandExecutionError, match="runs.json: not what salt-klp wrote"):
        klp_record.read("runs", [], folder=str(tmp_path))


def test_an_interrupted_write_leaves_the_old_file(tmp_path, monkeypatch):
    klp_record.write("runs", ["old"], folder=str(tmp_path))
    monkeypatch.setattr(os, "fsync", lambda handle: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(CommandExecutionError, match=r"runs.json: cannot be written \(No space left on device\)"):
        klp_record.write("runs", ["new"], folder=str(tmp_path))
    assert klp_record.read("runs", [], folder=str(tmp_path)) == ["old"]


def test_live_patches_are_read_by_name(tmp_path):
    put(tmp_path, b__enabled="1\n", b__transition="1\n", a__enabled="0\n", a__transition="0\n", c__enabled="1\n")
    assert klp_sys.live_patches(str(tmp_path)) == [
        {"name": "a", "enabled": False, "transition": False},
        {"name": "b", "enabled": True, "transition": True},
    ]


def test_a_kernel_without_live_patching_is_an_error(tmp_path):
    with pytest.raises(
        CommandExecutionError,
        match="No such file or directory; nothing is known of live patches in this kernel: it offers none, or /sys",
    ):
        klp_sys.live_patches(str(tmp_path / "none"))


def test_values_of_sysfs_that_nobody_knows_are_named(tmp_path):
    put(tmp_path, a__enabled="2\n", a__transition="0\n")
    with pytest.raises(CommandExecutionError, match="a/enabled: unknown value '2'"):
        klp_sys.live_patches(str(tmp_path))


def test_a_live_patch_that_cannot_be_read_is_an_error(tmp_path):
    (tmp_path / "a" / "enabled").mkdir(parents=True)
    with pytest.raises(CommandExecutionError, match="a: Is a directory"):
        klp_sys.live_patches(str(tmp_path))


def test_a_task_is_described_by_procfs(tmp_path):
    put(
        tmp_path,
        **{
            "7__comm": "agent\n",
            "7__status": "Name:\tagent\nState:\tD (disk sleep)\n",
            "7__cgroup": "0::/system.slice/agent.service\n",
            "7__stack": "[<0>] msleep+0x2d/0x60\n[<0>] agent+0x1/0x2\n",
        },
    )
    (tmp_path / "7" / "exe").symlink_to("/usr/lib/agent (deleted)")
    assert klp_sys.task(7, proc=str(tmp_path)) == {
        "comm": "agent",
        "exe": "/usr/lib/agent",
        "cgroup": "0::/system.slice/agent.service\n",
        "stack": ["[<0>] msleep+0x2d/0x60", "[<0>] agent+0x1/0x2"],
        "state": "D (disk sleep)",
    }


def test_of_a_task_that_is_gone_nothing_is_known(tmp_path):
    found = klp_sys.task(7, proc=str(tmp_path))
    assert set(found) == {"comm", "exe", "cgroup", "stack", "state"} and not any(found.values())


def test_a_fingerprint_changes_with_the_files(tmp_path):
    patterns = [f"{tmp_path}/*", f"{tmp_path}/*/*"]
    empty = klp_sys.fingerprint(patterns)
    put(tmp_path, a="1", b__c="2")
    first = klp_sys.fingerprint(patterns)
    assert empty == () and klp_sys.fingerprint(patterns) == first != empty
    put(tmp_path, a="12")
    assert klp_sys.fingerprint(patterns) != first


def test_a_dangling_link_does_not_count_in_a_fingerprint(tmp_path):
    (tmp_path / "a").symlink_to(tmp_path / "none")
    assert klp_sys.fingerprint([f"{tmp_path}/*"]) == ()


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("[main]\nmultiversion.kernels = latest,running\n", "latest,running"),
        ("[main]\nmultiversion.kernels=a\nmultiversion.kernels=b\n", "b"),
        ("[main]\n# multiversion.kernels = a\n; multiversion.kernels = b\n", None),
        ("[other]\nmultiversion.kernels = a\n", None),
        ("multiversion.kernels = a\n", None),
        ("", None),
    ],
)
def test_options_of_ini_files(tmp_path, text, value):
    put(tmp_path, **{"zypp.conf": text})
    assert klp_sys.option([str(tmp_path / "zypp.conf")], "main", "multiversion.kernels") == value


def test_the_last_ini_file_wins_and_sections_end_with_their_file(tmp_path):
    put(tmp_path, **{"zypp.conf": "[main]\nk = 1\n", "d__1.conf": "k = 2\n", "d__2.conf": "[main]\nk = 3\n"})
    patterns = [str(tmp_path / "none.conf"), str(tmp_path / "zypp.conf"), f"{tmp_path}/d/*.conf"]
    assert klp_sys.option(patterns, "main", "k") == "3"
    assert klp_sys.option(patterns[:2] + [f"{tmp_path}/d/1.conf"], "main", "k") == "1"


@pytest.mark.parametrize(("flag", "answer"), [(os.ST_RDONLY, True), (0, False)])
def test_read_only_file_systems_are_seen(monkeypatch, flag, answer):
    real = os.statvfs("/")
    monkeypatch.setattr(os, "statvfs", lambda path: type("Vfs", (), {"f_flag": real.f_flag & ~os.ST_RDONLY | flag}))
    assert klp_sys.read_only("/usr") is answer


def test_text_that_cannot_be_read_is_none(tmp_path):
    assert klp_sys.text(str(tmp_path)) is None
    (tmp_path / "a").write_bytes(b"\xffa")
    assert klp_sys.text(str(tmp_path / "a")) == "\ufffda"


def test_the_kernel_log_is_read_without_prefixes_and_dictionaries(tmp_path):
    text = "6,0,0,-;Linux version 5\n4,1,9,-;a;b\n SUBSYSTEM=x;y\n\n6,2,9,-;\u00fc\n"
    (tmp_path / "kmsg").write_text(text, encoding="utf-8")
    assert klp_sys.kernel_log(str(tmp_path / "kmsg")) == [(0, "Linux version 5"), (1, "a;b"), (2, "\u00fc")]


def test_the_kernel_log_has_flags_callers_and_lines_of_another_form(tmp_path):
    text = "6,339,5140900,-,caller=T1;NET: a\nno record\n4,340,1,c;half\n;x\n4,x,1,-;y\n"
    (tmp_path / "kmsg").write_text(text)
    assert klp_sys.kernel_log(str(tmp_path / "kmsg")) == [(339, "NET: a"), (340, "half")]


def test_the_kernel_log_has_holes_and_an_end(tmp_path, monkeypatch):
    (tmp_path / "kmsg").write_text("")
    answers = iter([b"6,0,0,-;one\n", BrokenPipeError(), b"6,2,0,-;two\n", BlockingIOError()])

    def read(_handle, _size):
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(os, "read", read)
    assert klp_sys.kernel_log(str(tmp_path / "kmsg")) == [(0, "one"), (2, "two")]


def test_a_kernel_log_without_an_end_is_left(tmp_path, monkeypatch):
    (tmp_path / "kmsg").write_text("")
    monkeypatch.setattr(klp_sys, "RECORDS", 3)
    monkeypatch.setattr(os, "read", lambda *_: b"6,0,0,-;x\n")
    assert klp_sys.kernel_log(str(tmp_path / "kmsg")) == [(0, "x")] * 3


def test_paths_of_a_host_are_the_default(minion):
    klp_record.write("runs", [1])
    assert os.listdir(klp_paths.RECORDS) == ["runs.json"] and klp_record.read("runs", []) == [1]
    klp_record.remember("slow", ["world"], {"a": (1, 2)})
    assert os.listdir(klp_paths.CACHE) == ["slow.json"]
    assert klp_record.recall("slow", ["world"]) == {"answer": {"a": [1, 2]}}
    minion.live_patch("a")
    assert [patch["name"] for patch in klp_sys.live_patches()] == ["a"]
    assert klp_sys.kernel_log() == [(0, "Linux version")] and klp_sys.task(1)["comm"] is None


@pytest.mark.parametrize(
    ("patches", "names"), [([], []), ([("a", 1, 0)], []), ([("a", 1, 0), ("b", 1, 1), ("c", 0, 1)], ["b", "c"])]
)
def test_live_patches_in_transition_are_named(minion, patches, names):
    for patch in patches:
        minion.live_patch(*patch)
    assert klp_sys.moving() == names


def test_a_kernel_without_live_patching_has_none_in_transition(minion):
    os.rmdir(klp_paths.LIVEPATCH)
    assert klp_sys.moving() == []


@pytest.mark.parametrize("world", [["other"], None])
def test_a_slow_reading_is_known_in_the_same_world_only(tmp_path, world):
    assert klp_record.recall("slow", ["world"], str(tmp_path)) is None
    assert klp_record.remember("slow", ["world"], 1, str(tmp_path)) == 1
    assert klp_record.recall("slow", world, str(tmp_path)) is None
    (tmp_path / "slow.json").write_text("[")
    assert klp_record.recall("slow", ["world"], str(tmp_path)) is None


def test_a_slow_reading_that_cannot_be_remembered_is_still_an_answer(tmp_path):
    (tmp_path / "file").write_text("")
    assert klp_record.remember("slow", ["world"], (1, 2), f"{tmp_path}/file/cache") == [1, 2]


def test_a_reading_that_changes_its_world_is_kept_for_the_new_one(minion):
    asked, world = [], ["old"]

    def reading():
        asked.append(1)
        world[0] = "new"
        return {"a": 1}

    assert [klp_record.kept("slow", lambda: world, reading) for _ in range(2)] == [{"a": 1}] * 2 and len(asked) == 1
    world[0] = "another"
    assert klp_record.kept("slow", lambda: world, reading) == {"a": 1} and len(asked) == 2
