"""Waves and batches: nobody is forgotten, nobody is in two, never more than allowed."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from _runners.klp import waves

NAMES = [f"h{number:02}" for number in range(40)]
PERCENT = st.integers(1, 100).map("{}%".format)
NUMBER = st.integers(1, 60)
HOSTS = st.sets(st.sampled_from(NAMES)).map(sorted)
WAVE = st.fixed_dictionaries({"take": st.one_of(NUMBER, PERCENT, st.just("rest"))})
MEMBERS = st.one_of(st.none(), st.sets(st.sampled_from([*NAMES, "elsewhere"])))


@given(st.lists(st.tuples(WAVE, MEMBERS), min_size=1, max_size=6), HOSTS)
def test_every_host_is_in_one_wave_or_left(parts, hosts):
    found, left = waves.split([wave for wave, _ in parts], hosts, [members for _, members in parts])
    assert len(found) == len(parts)
    assert sorted([*left, *(host for wave in found for host in wave)]) == hosts
    assert left == sorted(left) and all(wave == sorted(wave) for wave in found)
    before: set = set()
    for (wave, members), got in zip(parts, found, strict=True):
        free = [host for host in hosts if host not in before and (members is None or host in members)]
        share = wave["take"]
        if share == "rest":
            wanted = len(free)
        elif isinstance(share, str):
            wanted = math.ceil(len(hosts) * int(share[:-1]) / 100)
        else:
            wanted = share
        assert got == free[:wanted]
        before |= set(got)


@given(st.lists(st.tuples(WAVE, MEMBERS), max_size=4), HOSTS)
def test_a_last_wave_that_takes_the_rest_leaves_nobody(parts, hosts):
    specs = [*(wave for wave, _ in parts), {"take": "rest"}]
    found, left = waves.split(specs, hosts, [*(members for _, members in parts), None])
    assert left == [] and sum(map(len, found)) == len(hosts)


@given(st.one_of(NUMBER, PERCENT), st.integers(0, 1000))
def test_a_batch_has_at_least_one_host_and_never_more_than_its_share(share, total):
    found = waves.batch(share, total)
    assert found >= 1 and (found <= total or total == 0)
    if isinstance(share, str) and total:
        assert found - 1 < total * int(share[:-1]) / 100 <= found
    elif total:
        assert found == min(share, total)


@pytest.mark.parametrize(
    ("share", "total", "found"),
    [("10%", 7, 1), ("10%", 11, 2), ("100%", 3, 3), (5, 3, 3), ("rest", 9, 9), ("1%", 0, 0)],
)
def test_shares_are_counted_as_people_do(share, total, found):
    assert waves.count(share, total) == found


@given(st.integers(0, 50), st.integers(0, 100), st.integers(0, 500))
def test_of_number_and_percentage_the_larger_one_is_allowed(number, percent, total):
    found = waves.allowed(number, percent, total)
    assert found >= number and found * 100 >= min(total * percent - 99, found * 100)
    assert found == number or found * 100 <= total * percent


@given(st.lists(st.one_of(st.none(), st.integers(0, 5000)), max_size=30), st.integers(1, 10))
def test_a_wave_is_not_expected_to_be_faster_than_its_hosts(durations, at_once):
    found = waves.seconds(durations, at_once)
    known = [waves.SECONDS if spent is None else spent for spent in durations]
    assert found >= max(known, default=0) and found * at_once >= sum(known)
    assert isinstance(found, int) and found <= sum(known)
