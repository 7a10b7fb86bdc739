"""Waves and batches: nobody is forgotten, nobody is in two, never more than allowed."""

import collections
import math
import time

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


GROUPS = st.lists(st.integers(1, 40), min_size=1, max_size=8)  # how many hosts each group has


def fleet(sizes):
    """Return the hosts of groups of these sizes, each with its group; the first group is that of no name."""
    names = [f"h{number:04}" for number in range(sum(sizes))]
    whose = [f"g{number}" if number else None for number, size in enumerate(sizes) for _ in range(size)]
    return dict(zip(names, whose, strict=True))


def spread(order, groups):
    """Return by how much a group has more hosts than its share at the most, at the beginnings of a list."""
    sizes, worst = collections.Counter(groups[host] for host in order), 0.0
    seen: collections.Counter = collections.Counter()
    for number, host in enumerate(order, 1):
        seen[groups[host]] += 1
        worst = max(worst, seen[groups[host]] - number * sizes[groups[host]] / len(order))
    return worst


@given(GROUPS, st.text(max_size=3), st.randoms(use_true_random=False))
def test_no_beginning_of_a_mixed_wave_has_more_of_a_group_than_its_share(sizes, seed, dice):
    groups = fleet(sizes)
    found = waves.mixed(list(groups), [], groups, seed)
    assert sorted(found) == sorted(groups) and spread(found, groups) <= 1
    assert len({groups[host] for host in found[: len(sizes)]}) == len(sizes), "one of each group comes first of all"
    shuffled = dice.sample(list(groups), len(groups))
    assert waves.mixed(shuffled, [], groups, seed) == found, "the order depends on nothing but seed, ids and groups"


@given(GROUPS, st.lists(WAVE, min_size=1, max_size=4))
def test_every_wave_with_room_for_it_has_a_host_of_each_group_that_is_left(sizes, specs):
    groups = fleet(sizes)

    def ordered(hosts, before):
        return waves.mixed(hosts, before, groups, "seed")

    found, left = waves.split([*specs, {"take": "rest"}], sorted(groups), [None] * (len(specs) + 1), ordered)
    assert not left and sorted(host for wave in found for host in wave) == sorted(groups)
    free, there = set(groups), set[str]()
    for wave in found:
        kinds = {groups[host] for host in free}
        assert len({groups[host] for host in wave}) == min(len(kinds), len(wave))
        new = kinds - there
        assert len(new & {groups[host] for host in wave}) == min(len(new), len(wave)), "no group waits without need"
        free -= set(wave)
        there |= {groups[host] for host in wave}
        kinds_left = [host for host in groups if host in free or host in wave]
        whole = waves.mixed(kinds_left, [host for host in groups if host not in kinds_left], groups, "seed")
        assert whole[: len(wave)] == wave


def test_three_canaries_are_of_three_groups_however_large():
    groups = {f"{name}{number:04}": name for name, size in SIZES.items() for number in range(size)}
    for seed in map(str, range(50)):
        assert {groups[host] for host in waves.mixed(list(groups), [], groups, seed)[:3]} == set(SIZES)
    firsts = {waves.mixed(list(groups), [], groups, seed)[0] for seed in map(str, range(50))}
    assert len(firsts) > 20, "another seed, another canary"
    assert waves.grouped(["db0000", "web0001", "web0002", "h"], {**groups, "h": None}) == {"": 1, "db": 1, "web": 2}


SIZES = {"db": 10, "web": 1000, "app": 100}


def test_a_wave_keeps_its_own_list_of_hosts():
    specs = [{"take": 2, "hosts": ["c", "x", "a", "b"]}, {"take": "rest"}]
    found, _ = waves.split(specs, list("abcd"), [set("cxab"), None], lambda hosts, before: hosts[::-1])
    assert found == [["c", "a"], ["d", "b"]]


def test_mixing_costs_a_hundred_thousand_hosts_ten_times_of_ten_thousand():
    def spent(size):
        groups = {f"h{number:06}": f"g{number % 977}" for number in range(size)}
        begun = time.process_time()
        assert len(waves.mixed(list(groups), [], groups, "seed")) == size
        return time.process_time() - begun

    assert min(spent(100000) for _ in range(2)) < 25 * max(min(spent(10000) for _ in range(3)), 0.02)


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
