"""What a running daemon has imported of salt-klp is dropped when a sync has brought other files, and only then."""

import sys
import types

import pytest

import klp_fresh

PARENT, PART = "salt.loaded.ext.runners.klp", "salt.loaded.ext.runners.klp.store"


@pytest.fixture
def imported(monkeypatch):
    """Modules as a daemon has them: a util of each prefix, the runner with one of its parts, and somebody else's."""
    before = dict(sys.modules)
    for name in ("klp_x", "zypp_x", "klpx", PARENT, PART):
        sys.modules[name] = types.ModuleType(name)
    vars(sys.modules[PARENT])["store"] = sys.modules[PART]
    yield sys.modules
    for name in set(sys.modules) - set(before):
        del sys.modules[name]
    sys.modules.update(before)


def test_while_no_file_changes_nothing_is_dropped(imported):
    before = dict(imported)
    klp_fresh.renew()
    assert dict(imported) == before


def test_a_changed_file_drops_all_utils_and_the_parts_of_the_runner(imported, monkeypatch):
    monkeypatch.setattr(klp_fresh, "SEEN", klp_fresh.SEEN[1:])
    klp_fresh.renew()
    assert {name for name in ("klp_x", "zypp_x", "klpx", PARENT, PART) if name in imported} == {"klpx", PARENT}
    assert not hasattr(imported[PARENT], "store")


def test_the_one_that_comes_after_it_knows_the_files_of_that_moment(imported, monkeypatch):
    """Otherwise it would take the next files for those that the rest was imported from."""
    monkeypatch.setattr(klp_fresh, "SEEN", [])
    klp_fresh.renew()
    assert imported["klp_fresh"] is not klp_fresh
    assert imported["klp_fresh"].SEEN == klp_fresh._stamp() != []


def test_a_folder_that_is_gone_is_another_one(imported, monkeypatch, tmp_path):
    assert klp_fresh._stamp() == klp_fresh.SEEN
    monkeypatch.setattr(klp_fresh, "FOLDER", str(tmp_path / "gone"))
    assert klp_fresh._stamp() == []


def test_a_file_is_told_from_another_one_of_its_size(monkeypatch, tmp_path):
    monkeypatch.setattr(klp_fresh, "FOLDER", str(tmp_path))
    (tmp_path / "klp_x.py").write_text("1")
    (tmp_path / "other.py").write_text("1")
    (tmp_path / "klp_x.txt").write_text("1")
    (tmp_path / "klp_folder").mkdir()
    before = klp_fresh._stamp()
    (tmp_path / "klp_new").write_text("2")
    (tmp_path / "klp_new").rename(tmp_path / "klp_x.py")
    assert len(before) == 1 and klp_fresh._stamp() != before
