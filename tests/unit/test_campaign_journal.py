"""The journal: what is torn is cut off, what is damaged is an error, what cannot be written is not half there."""

import os
import resource
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from salt.exceptions import CommandExecutionError

from _runners.klp import files, journal

ENTRIES = [
    {"what": "begin", "at": 1_800_000_000},
    {"what": "ready", "at": 1_800_000_001, "hosts": {"h01": {"boot": "b", "log": 7, "tainted": "0"}}},
    {"what": "start", "at": 1_800_000_002, "jid": "20270101000000000000", "hosts": ["h01"], "by": 1_800_000_300},
    {"what": "ended", "at": 1_800_000_003, "jid": "20270101000000000000", "hosts": {"h01": "Fehler: \u00fc \n\0"}},
]
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


def written(path, entries):
    """Write a journal and return its bytes."""
    found = journal.Journal(str(path))
    for entry in entries:
        found.append(entry)
    found.close()
    return path.read_bytes()


@given(st.lists(st.dictionaries(st.text(), JSON, max_size=4), max_size=6))
def test_what_was_written_is_read(tmp_path_factory, entries):
    path = tmp_path_factory.mktemp("journal") / "journal"
    data = written(path, entries)
    wanted = [dict(entry, n=number) for number, entry in enumerate(entries, 1)]
    assert journal.read(str(path)) == wanted and journal.parse(data, "x") == (wanted, len(data))
    again = journal.Journal(str(path))
    assert again.entries == wanted and again.next == len(entries) + 1
    again.close()
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_line_that_was_torn_at_any_length_is_cut_off(tmp_path):
    path = tmp_path / "journal"
    data = written(path, ENTRIES)
    whole = data[: data[:-1].rindex(b"\n") + 1]
    for length in range(len(whole), len(data)):
        path.write_bytes(data[:length])
        assert [entry["n"] for entry in journal.read(str(path))] == [1, 2, 3]
        assert path.read_bytes() == data[:length], "reading changes nothing"
        found = journal.Journal(str(path))
        assert path.read_bytes() == whole and found.next == 4
        assert found.append(ENTRIES[3])["n"] == 4
        found.close()
        assert path.read_bytes() == data


@pytest.mark.parametrize("holes", [b"\0" * 5, b"\0" * 4096, b"\0\0\n", b"half a line\0\0\0 and its end\n"])
def test_what_a_power_cut_leaves_where_a_page_was_not_written_is_cut_off(tmp_path, holes):
    path = tmp_path / "journal"
    data = written(path, ENTRIES)
    path.write_bytes(data + holes)
    assert len(journal.read(str(path))) == 4
    journal.Journal(str(path)).close()
    assert path.read_bytes() == data


@pytest.mark.parametrize("number", range(4))
def test_no_damaged_byte_is_ever_ignored(tmp_path, number):
    """But for the end of the last line: without it nobody can tell the line from a torn one."""
    path = tmp_path / "journal"
    data = written(path, ENTRIES)
    starts = [0, *(at + 1 for at, char in enumerate(data) if char == 10)]
    for at in range(starts[number], min(starts[number + 1], len(data) - 1)):
        for char in {data[at] ^ 1, data[at] ^ 0x20, data[at] ^ 0x80, 0, 10, 32, 43, 48, 95, 120, 255} - {data[at]}:
            path.write_bytes(data[:at] + bytes([char]) + data[at + 1 :])
            with pytest.raises(CommandExecutionError, match="line [1-4] is damaged; restore it from a backup"):
                journal.read(str(path))
            with pytest.raises(CommandExecutionError, match="is damaged"):
                journal.Journal(str(path))


def line(body):
    return b"%08x %s\n" % (zlib.crc32(body), body)


@pytest.mark.parametrize(
    "data",
    [
        line(b'{"n":2}'),  # the first one is missing
        line(b'{"n":1}') * 2,
        line(b'{"n":1}') + line(b'{"n":3}'),
        line(b"[]"),
        line(b"null"),
        line(b"no json"),
        line(b'{"n":1}').replace(b" ", b"  ", 1),
        b"\n",
        b"0\n" + line(b'{"n":1}'),
    ],
)
def test_lines_that_are_whole_and_wrong_are_an_error(tmp_path, data):
    with pytest.raises(CommandExecutionError, match=r"^x: line [12] is damaged"):
        journal.parse(data, "x")


def test_a_damaged_journal_does_not_stay_open(tmp_path):
    path = tmp_path / "journal"
    path.write_bytes(b"x\n" * 2)
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        with pytest.raises(CommandExecutionError):
            journal.Journal(str(path))
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize("kind", ["directory", "pipe", "huge", "newer", "older", "nonsense"])
def test_a_journal_that_cannot_be_used_is_an_error_at_once(tmp_path, kind):
    path, said = (
        tmp_path / "journal",
        {"directory": "is no file|Is a directory", "pipe": "is no file", "huge": "1024 MiB"},
    )
    if kind == "directory":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "huge":
        with path.open("wb") as handle:
            handle.truncate(1 << 40)  # more than the machine has memory for
    else:
        number = {"newer": 3, "older": 1, "nonsense": [7]}[kind]
        data = b'{"format":%s,"n":1,"program":"0.9.0","what":"begin"}' % str(number).encode()
        path.write_bytes(line(data))
        age = "newer" if kind == "newer" else "older"
        said[kind] = (
            rf"was written by {age} salt-klp \(format .*, this one has 2\); go on with the version .* \(0.9.0\)"
        )
    for call in (journal.read, journal.Journal):
        with pytest.raises(files.DamagedError, match=said[kind]):
            call(str(path))


def test_there_is_no_journal_of_what_has_not_begun(tmp_path):
    assert journal.read(str(tmp_path / "journal")) is None
    assert journal.last(str(tmp_path / "journal")) is None


@pytest.fixture
def room():
    """Set how large a file of this process may become, as a full disk would."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("fits", [0, 1, 20])
def test_on_a_full_disk_nothing_is_half_written(tmp_path, room, fits):
    path = tmp_path / "journal"
    data = written(path, ENTRIES[:2])
    found = journal.Journal(str(path))
    room(len(data) + fits)
    for _ in range(2):
        with pytest.raises(CommandExecutionError, match="cannot be written .*; make room"):
            found.append(ENTRIES[2])
        assert path.read_bytes() == data
    room(len(data) + 4096)
    assert found.append(ENTRIES[2])["n"] == 3
    found.close()
    assert len(journal.read(str(path))) == 3


def test_what_cannot_be_flushed_was_not_written(tmp_path, monkeypatch):
    path = tmp_path / "journal"
    data = written(path, ENTRIES[:1])
    found = journal.Journal(str(path))

    def refuse(handle):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(journal.os, "fsync", refuse)
    with pytest.raises(CommandExecutionError, match="Input/output error"):
        found.append(ENTRIES[1])
    found.close()
    assert path.read_bytes() == data


def test_each_entry_is_flushed_before_it_counts(tmp_path, monkeypatch):
    found = journal.Journal(str(tmp_path / "journal"))
    seen = []
    monkeypatch.setattr(journal.os, "fsync", lambda handle: seen.append(os.fstat(handle).st_size))
    found.append(ENTRIES[0])
    assert seen == [len(journal.encoded(dict(ENTRIES[0], n=1)))]
    found.close()


def test_the_last_entry_is_found_without_reading_all(tmp_path):
    path = tmp_path / "journal"
    path.write_bytes(b"")
    assert journal.last(str(path)) is None
    data = written(path, ENTRIES[:1])
    assert journal.last(str(path)) == "begin"
    path.write_bytes(data + b"torn")
    assert journal.last(str(path)) == "begin"
    path.write_bytes(data)
    written(path, [{"what": "ready", "hosts": dict.fromkeys(map(str, range(5000)))}])
    assert journal.last(str(path)) is None  # too long to be the end of a campaign
    written(path, [{"what": "end", "at": 1, "result": "done"}])
    assert journal.last(str(path)) == "end"
