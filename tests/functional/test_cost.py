"""What a run costs, counted in started programs: a converged host is to be cheap, however often it is looked at."""

import pytest

from tests.functional.conftest import LOCKS, LP, SECOND, THIRD, TOOLS, apply, writes


@pytest.fixture
def told(record_property, capsys):
    """Print what a run cost, past pytest's capture, and return the number of zypper calls."""

    def tell(what, host):
        counts = {name: host.count(name) for name in ("zypper", "rpm", "klp")}
        ours = len(host.started("rpm", caller="python"))
        record_property(what, counts)
        with capsys.disabled():
            print(
                f"\n{what}: zypper {counts['zypper']}, rpm {counts['rpm']} ({ours} of them ours), klp {counts['klp']}"
            )
        return counts["zypper"]

    return tell


@pytest.mark.parametrize("test", [True, None])
def test_converged_steady_state_starts_no_zypper_and_one_rpm(sles, told, test):
    one = sles("converged")
    answer = apply(one, "klp", test=test)
    assert (answer.rc, answer.changes, set(answer.results.values())) == (0, {}, {True})
    assert told(f"klp on a converged host (test={test})", one) == 0
    assert one.count("rpm") == 1
    assert one.count("volume-backup") == one.count("volume-check") == 0


def test_converged_steady_state_with_a_pattern_asks_rpm_once_more(sles, told):
    one = sles("converged", tools={"packages": [TOOLS], "pattern": "lp_sles"})
    one.zypper("in", "--no-recommends", "patterns-lp-lp_sles")
    answer = apply(one, "klp")
    assert (answer.rc, answer.changes) == (0, {})
    assert told("klp on a converged host with a pattern", one) == 0
    assert one.count("rpm") == 2


def test_all_locks_are_one_zypper_call(sles, told):
    one = sles("enabled")
    answer = apply(one, "klp")
    assert answer.changes == {"klp-locks": {"locked": {"old": [], "new": LOCKS}}}
    assert told("klp on an enabled host without locks", one) == 1
    assert one.started("zypper")[0].argv[2:] == ("addlock", *LOCKS)


def test_first_run_of_a_fresh_host(sles, told):
    one = sles("fresh")
    assert apply(one, "klp").failed == {}
    first = told("klp on a fresh host", one)
    assert [args[0] for args in writes(one)] == ["install"]
    assert apply(one, "klp.patch").failed == {}
    # The search for what asks for a reboot is made once, as long as the repositories are the same.
    assert first + told("klp.patch after it", one) <= 10
    assert [args[0] for args in writes(one)] == ["install"]


def test_first_maintenance_run(sles, told):
    one = sles("enabled")
    one.zypper("al", *LOCKS)
    assert apply(one, "klp.patch").failed == {}
    assert told("klp.patch, the first on an enabled and locked host", one) <= 6
    assert [args[0] for args in writes(one)] == ["install"]


def test_one_new_live_patch(sles, told):
    one = sles("converged")
    one.zypper("in", "--oldpackage", f"{LP}={SECOND}")
    answer = apply(one, "klp.patch")
    assert answer.changes["klp-updates"] == {LP: {"old": SECOND, "new": THIRD}}
    assert told("klp.patch where nothing but a live patch is new", one) <= 5
    assert writes(one) == [("install", f"{LP}={THIRD}")]


def test_prediction_of_a_maintenance_run(sles, told):
    one = sles("enabled")
    one.zypper("al", *LOCKS)
    assert apply(one, "klp.patch", test=True).failed == {}
    assert told("klp.patch on an enabled and locked host (test=True)", one) <= 5
    assert writes(one) == []


def test_maintenance_run_of_a_converged_host(sles, told):
    one = sles("converged")
    answer = apply(one, "klp.patch")
    assert (answer.rc, answer.changes) == (0, {})
    assert told("klp.patch on a converged host", one) <= 3  # firmware is left: does it ask for a reboot?
    assert writes(one) == []
    assert (apply(one, "klp.patch").changes, writes(one)) == ({}, [])
    assert told("klp.patch on a converged host, again", one) <= 2


def test_maintenance_run_of_a_host_where_nothing_at_all_is_left(sles, told):
    one = sles("converged", update={"exclude": ["kernel-firmware-all"]})
    answer = apply(one, "klp.patch")
    assert (answer.rc, answer.changes) == (0, {})
    assert told("klp.patch on a host where nothing is left", one) <= 2
