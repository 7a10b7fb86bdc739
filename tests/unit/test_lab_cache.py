"""What the lab keeps: built once, built again when what it is made from changes or when it was not finished."""

import pytest

from tests.lab import cache


def test_a_hash_tells_texts_and_files_apart(tmp_path):
    source = tmp_path / "source"
    source.write_text("one")
    first = cache.digest("a", sources=[source])
    assert cache.digest("a", sources=[source]) == first
    assert cache.digest("b", sources=[source]) != first
    source.write_text("two")
    assert cache.digest("a", sources=[source]) != first


def test_a_missing_program_is_an_error_that_names_it():
    with pytest.raises(RuntimeError, match="^qemu-of-nobody is missing here: run make setup setup-system as root$"):
        cache.digest("a", tools=["qemu-of-nobody"])


def test_what_is_complete_is_not_made_again(tmp_path):
    made = []
    for _ in range(2):
        root = cache.kept(tmp_path / "kept", "abc", lambda path: made.append(path.name))
    assert (made, root.name) == (["abc"], "abc")
    assert 0 <= cache.seconds(root) < 60


def test_what_was_not_finished_is_made_anew(tmp_path):
    def fails(root):
        (root / "half").write_text("")
        raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        cache.kept(tmp_path, "abc", fails)
    root = cache.kept(tmp_path, "abc", lambda path: None)
    assert not (root / "half").exists()


def test_others_go_when_nobody_has_used_them_for_hours(tmp_path, monkeypatch):
    old = cache.kept(tmp_path, "old", lambda path: None)
    cache.kept(tmp_path, "new", lambda path: None)
    assert old.exists()
    monkeypatch.setattr(cache, "KEEP_SECONDS", -1)
    cache.kept(tmp_path, "newer", lambda path: None)
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == ["newer"]
