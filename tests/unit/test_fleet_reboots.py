"""The plan of restarts: as late as possible, never too many, and nobody late who need not be."""

import collections
import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from _runners.klp import reboots
from tests.unit.report import GROUPS, HOSTS, SHARE, WEEKS

TODAY = datetime.date(2026, 11, 27)


def after(days):
    return TODAY + datetime.timedelta(days)


def host(name, days, group="", **more):
    due = None if days is None else after(days)
    return {"host": name, "group": group, "due": due, "estimate": None, "safety": "ok", **more}


def fleet(pairs):
    return [host(f"h{number:03}", days, group) for number, (group, days) in enumerate(pairs)]


def planned(found):
    """Return (week, entry) of all hosts of a plan."""
    return [(week["week"] - 1, entry) for week in found["weeks"] for entry in week["hosts"]]


def in_time(days, most):
    """Return how many can be in time, by trying: places are given, and taken away again if their owner has another."""
    owners: dict = {}

    def place(number, seen):
        for week in range(max(days) // 7 + 1):
            fits = days[number] >= (0 if week == 0 else 7 * week + 6)
            for slot in ((week, index) for index in range(most) if fits):
                if slot in seen:
                    continue
                seen.add(slot)
                if slot not in owners or place(owners[slot], seen):
                    owners[slot] = number
                    return True
        return False

    return sum(place(number, set()) for number in range(len(days)))


@given(HOSTS, SHARE, WEEKS)
def test_no_week_has_more_of_a_group_than_its_share(pairs, share, weeks):
    hosts = fleet(pairs)
    found = reboots.propose(hosts, share, weeks, TODAY)
    sizes = collections.Counter(group for group, _ in pairs)
    for week in found["weeks"]:
        counts = collections.Counter(entry["group"] for entry in week["hosts"])
        assert week["groups"] == counts
        for group, number in counts.items():
            assert number <= max(1, sizes[group] * share // 100) == found["capacity"][group]


@given(HOSTS, SHARE, WEEKS)
def test_every_host_is_somewhere_exactly_once(pairs, share, weeks):
    hosts = fleet(pairs)
    found = reboots.propose(hosts, share, weeks, TODAY)
    inside = [entry["host"] for _, entry in planned(found)]
    assert sorted(inside) == [item["host"] for item in hosts if item["due"] and item["due"] < after(7 * weeks)]
    assert [row["host"] for row in found["unknown"]] == [item["host"] for item in hosts if not item["due"]]
    assert found["planned"] == len(inside)
    assert found["planned"] + found["later"] + len(found["unknown"]) == len(hosts)


@given(HOSTS, SHARE, WEEKS)
def test_nobody_is_late_who_need_not_be(pairs, share, weeks):
    found = reboots.propose(fleet(pairs), share, weeks, TODAY)
    for group in GROUPS:
        days = [due for mine, due in pairs if mine == group and due is not None and due < 7 * weeks]
        late = [entry["host"] for _, entry in planned(found) if entry["group"] == group and entry["late"]]
        assert len(days) - len(late) == in_time(days, found["capacity"].get(group, 1))


@given(HOSTS, SHARE, WEEKS)
def test_late_is_what_ends_after_its_deadline(pairs, share, weeks):
    found = reboots.propose(fleet(pairs), share, weeks, TODAY)
    for week, entry in planned(found):
        end, due = after(7 * week + 6), datetime.date.fromisoformat(entry["due"])
        if entry["late"]:
            assert entry["late"] == (end - due).days > 0
        else:
            assert due >= TODAY and (end <= due or week == 0)
    assert found["late"] == sum(1 for _, entry in planned(found) if entry["late"])


@given(HOSTS, SHARE, WEEKS)
def test_nobody_in_time_could_be_later(pairs, share, weeks):
    found = reboots.propose(fleet(pairs), share, weeks, TODAY)
    taken = collections.Counter((entry["group"], week) for week, entry in planned(found))
    for week, entry in planned(found):
        if not entry["late"]:
            last = reboots.latest(datetime.date.fromisoformat(entry["due"]), TODAY)
            assert all(
                taken[entry["group"], other] == found["capacity"][entry["group"]] for other in range(week + 1, last + 1)
            )


@given(HOSTS, SHARE, WEEKS, st.randoms())
def test_the_order_of_the_hosts_does_not_matter(pairs, share, weeks, chance):
    hosts = fleet(pairs)
    mixed = list(hosts)
    chance.shuffle(mixed)
    assert reboots.propose(mixed, share, weeks, TODAY) == reboots.propose(hosts, share, weeks, TODAY)


def test_each_has_the_last_week_that_ends_by_its_deadline():
    found = reboots.propose([host("a", 13), host("b", 12), host("c", 3), host("d", 0)], 50, 4, TODAY)
    assert [(week, entry["host"], entry["late"]) for week, entry in planned(found)] == [
        (0, "d", 0),
        (0, "c", 0),
        (1, "b", 1),
        (1, "a", 0),
    ]


def test_what_has_expired_comes_at_once_and_is_late():
    found = reboots.propose([host("old", -30), host("b", 6, safety="failed"), host("c", 200)], 34, 4, TODAY)
    assert planned(found) == [
        (0, {"host": "b", "group": "", "due": "2026-12-03", "late": 0, "safety": "failed"}),
        (1, {"host": "old", "group": "", "due": "2026-10-28", "late": 43, "safety": "ok"}),
    ]
    assert (
        found["later"] == 1 and found["weeks"][1]["first"] == "2026-12-04" and found["weeks"][1]["last"] == "2026-12-10"
    )


def test_weeks_beyond_the_horizon_are_used_rather_than_too_many_at_once():
    found = reboots.propose([host(f"h{number}", -1) for number in range(5)], 10, 2, TODAY)
    assert [week["week"] for week in found["weeks"]] == [1, 2, 3, 4, 5] and found["late"] == 5


def test_an_estimate_is_shown_and_plans_nothing():
    found = reboots.propose([host("a", None, "web", estimate="2026-12-24")], 10, 4, TODAY)
    assert found["weeks"] == [] and found["unknown"] == [{"host": "a", "group": "web", "estimate": "2026-12-24"}]


@pytest.mark.parametrize(
    ("last", "expired", "debt", "due"),
    [
        (after(90), False, None, after(90)),
        (after(90), False, 30, after(30)),
        (after(9), False, 30, after(9)),
        (after(-9), True, 30, after(-9)),
        (None, True, None, TODAY),
        (None, False, 30, after(30)),
        (None, False, None, None),
        (None, False, 10**9, datetime.date.max),
    ],
)
def test_the_deadline_is_the_first_that_applies(last, expired, debt, due):
    assert reboots.deadline(last, expired, debt, TODAY) == due


@pytest.mark.parametrize(("share", "size", "most"), [(10, 100, 10), (10, 9, 1), (10, 29, 2), (100, 3, 3), (0, 50, 1)])
def test_one_host_always_may(share, size, most):
    assert reboots.capacity(share, size) == most
