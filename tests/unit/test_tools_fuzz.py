"""The fuzzer: it goes round until its time is over, and says with which seed something was found."""

import itertools

import pytest

from tools import fuzz


@pytest.fixture
def rounds(monkeypatch):
    """The seeds of the rounds; each takes a minute and ends as it is told."""
    seeds: list[int] = []
    codes: list[int | None] = []
    clock = itertools.count(0, 30)

    def go_round(seed, files, left):
        seeds.append(seed)
        assert files and left > 0
        return codes.pop(0) if codes else 0

    monkeypatch.setattr(fuzz, "go_round", go_round)
    monkeypatch.setattr(fuzz.time, "monotonic", lambda: next(clock))
    return seeds, codes


def test_every_file_with_properties_is_run():
    found = fuzz.properties()
    assert {"tests/unit/test_properties.py", "tests/unit/test_klp_pillar.py"} <= set(found)
    assert "tests/unit/test_bench.py" not in found


def test_rounds_have_new_seeds_until_the_time_is_over(rounds, capsys):
    assert fuzz.main(["--minutes", "5"]) == 0
    assert len(set(rounds[0])) == len(rounds[0]) == 3
    assert capsys.readouterr().out.endswith("Nothing found in 3 whole rounds.\n")


def test_a_round_that_the_time_cuts_off_is_not_a_whole_one(rounds, capsys):
    rounds[1].extend([0, None, None])
    assert fuzz.main(["--minutes", "5"]) == 0
    assert capsys.readouterr().out.endswith("Nothing found in 1 whole rounds.\n")


def test_what_is_found_ends_it_and_its_seed_is_said(rounds, capsys):
    rounds[1].extend([0, 1])
    assert fuzz.main(["--minutes", "5"]) == 1
    assert f"Found something. Again: make fuzz SEED={rounds[0][-1]}\n" in capsys.readouterr().out


def test_a_seed_is_one_round(rounds, capsys):
    assert fuzz.main(["--seed", "7"]) == 0
    assert rounds[0] == [7]
