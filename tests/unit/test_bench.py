"""The benchmark: that it measures what it says, and that its judgement is right."""

import pytest

from bench import __main__ as bench
from bench import emergency, harm, host, parts, real, report, table

ROWS = [
    "klp.plan: made",
    "klp.run: decisions",
    "klp.run: journal",
    "klp.status: journal replayed",
    "klp.report: document",
    "a wave goes back",
]


def test_a_small_bench_measures_every_part_and_exits_with_0(tmp_path, capsys):
    assert bench.simulated((50, 100), bench.in_process, tmp_path) == 0
    shown = capsys.readouterr().out
    assert [row for row in ROWS if f"\n{row} " not in shown] == []
    assert "2 x hosts" in shown
    assert shown.splitlines()[-1].startswith("Nothing that takes 2 s or more is worse than linear")
    assert not list(tmp_path.iterdir())


def test_the_campaign_that_is_measured_comes_to_its_end(tmp_path):
    parts.plan(300, tmp_path)
    seen = parts.run(300, tmp_path)["facts"]
    assert seen["verified"] + seen["failed"] + seen["unreachable"] == 300
    assert 0 < seen["failed"] + seen["unreachable"] < 20
    assert seen["journal, entries"] > 50 and seen["the campaign takes, h (simulated)"] > 1


def test_about_half_of_the_fleet_goes_back(tmp_path):
    assert 50 < parts.back(200, tmp_path)["facts"]["went back"] < 150


def test_the_fleet_is_always_the_same():
    first, second = (parts.hosts(300), parts.hosts(300))
    assert [(host.name, host.seconds, host.faults) for host in first] == [
        (host.name, host.seconds, host.faults) for host in second
    ]
    assert any(host.faults for host in first) and not any(host.faults for host in first[:20])


def measured(**seconds):
    """Return results of three sizes; each keyword is a row, its value the seconds."""
    sizes = (1000, 10000, 100000)
    return {
        size: {
            "seconds": {row: times[number] for row, times in seconds.items()},
            "facts": {"journal, entries": size},
            "memory": {"klp.run": 60 + size // 1000},
        }
        for number, size in enumerate(sizes)
    }


@pytest.mark.parametrize(
    ("times", "said"),
    [
        pytest.param((0.3, 3.0, 30.0), "linear", id="ten times as long for ten times as many"),
        pytest.param((0.3, 3.0, 38.9), "linear", id="within the tolerance"),
        pytest.param((0.3, 3.0, 39.1), "WORSE", id="beyond it"),
        pytest.param((0.03, 3.0, 300.0), "WORSE", id="quadratic"),
        pytest.param((3.0, 3.0, 3.0), "linear", id="constant"),
        pytest.param((9.0, 3.0, 12.0), "linear", id="only the two largest are compared"),
        pytest.param((0.0, 0.0, 0.0), "linear", id="too quick to be seen"),
        pytest.param((0.0, 0.1, 1.9), "small", id="worse, but nobody notices"),
    ],
)
def test_the_judgement(times, said):
    assert table.verdict(measured(row=times), "row") == said


def test_what_is_worse_is_named_and_is_a_failure(monkeypatch, tmp_path, capsys):
    results = measured(good=(0.3, 3.0, 30.0), bad=(0.03, 3.0, 300.0))
    monkeypatch.setattr(bench, "fleet", lambda size, folder, measure: results[size])
    assert bench.simulated(tuple(results), disk=tmp_path) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "WORSE than linear: bad"
    assert [line.split() for line in lines if line.startswith(("good", "bad", "klp.run", "journal"))] == [
        ["good", "0.300", "3.00", "30.00", "300.0", "10.0", "linear"],
        ["bad", "0.030", "3.00", "300.0", "3,000.0", "100.0", "WORSE"],
        ["klp.run", "61", "70", "160"],
        ["journal,", "entries", "1,000", "10,000", "100,000"],
    ]


def test_parts_are_put_together():
    one = {"seconds": {"a": 1.0}, "facts": {"x": 1}, "memory": 60}
    two = {"seconds": {"b": 2.0}, "facts": {}, "memory": 70}
    assert table.gather({"klp.plan": one, "klp.run": two}) == {
        "seconds": {"a": 1.0, "b": 2.0},
        "facts": {"x": 1},
        "memory": {"klp.plan": 60, "klp.run": 70},
    }


def test_the_table_of_real_minions():
    costs = {
        "salt": real.Cost(20.0, 1.0, None),
        "salt-run klp.run ID": real.Cost(25.0, 1.5, None),
        "salt-run klp.plan": real.Cost(15.0, 1.2, None),
    }
    lines = real.text(costs, 10).splitlines()
    assert lines[4].split() == ["what", "klp.run", "adds", "5.00", "0.50", "0.50", "0.05"]
    assert lines[-1] == "klp.run adds 0.50 s a host, 20 % of the whole; klp.plan before it, 1.50 s a host."


def runs(ours, theirs, empty=0.5, zypper=(0, 5), code=0):
    """Return three runs of each formula; the machine is slower each time."""

    def cost(seconds, zypper=0, code=0):
        return [host.Cost(seconds + noise, seconds, zypper, 30, 0, code) for noise in (0, 5, 9)]

    return {host.OURS: cost(ours, zypper[0], code), host.THEIRS: cost(theirs, zypper[1]), host.EMPTY: cost(empty)}


@pytest.mark.parametrize(
    ("size", "what", "found", "wrong"),
    [
        (host.LARGE, "nothing to do", runs(0.59, 2.5), ""),
        (host.LARGE, "nothing to do", runs(0.61, 2.5), "0.11 s more than an empty run, at most 0.1 s are promised"),
        (host.LARGE, "nothing to do", runs(0.59, 1.3), "0.09 s, the others 0.80 s: not ten times cheaper"),
        (host.SMALL, "nothing to do", runs(0.61, 1.3), ""),
        (host.SMALL, "nothing to do", runs(0.59, 1.3, zypper=(1, 5)), "1 zypper, none is promised"),
        (host.LARGE, "first run", runs(3, 3, zypper=(13, 13)), ""),
        (host.LARGE, "first run", runs(3, 4, zypper=(14, 13)), "14 zypper, the others 13"),
        (host.LARGE, "first run", runs(4, 3), "9.00 s, the others 8.00 s"),
        (host.SMALL, "one new live patch", runs(4, 3), ""),
        (host.SMALL, "one new live patch", runs(1, 3, code=2), "exit code 2"),
    ],
)
def test_one_run_is_judged_by_what_was_promised(size, what, found, wrong):
    """The runs beside each other are compared: that the machine gets slower meanwhile says nothing."""
    expected = [f"{size} packages, {what}: {wrong}"] if wrong else []
    assert host.problems({(size, what): found}) == expected


def test_the_table_has_medians_and_what_comes_over_an_empty_run():
    assert host.row(host.LARGE, "nothing to do", runs(0.59, 2.5)) == [
        "| 20,000 | nothing to do | salt-klp | 5.59 | 0.09 | 0.59 | 0 | 30 | 0.00 | 0 | 1.3 |",
        "| 20,000 | nothing to do | Salt's states | 7.50 | 2.00 | 2.50 | 5 | 30 | 0.00 | 0 |  |",
        "| 20,000 | nothing to do | empty run | 5.50 |  | 0.50 | 0 | 30 | 0.00 | 0 |  |",
    ]


def test_a_live_patch_that_does_harm_does_not_get_far(capsys):
    assert bench.main(["harm"]) == 0
    shown = capsys.readouterr().out
    assert all(f"\n{name} " in shown for name in harm.HARMS)
    bad = {"panics": {"times in all": 2, "were harmed": 1, "minutes until the last start": 11.0}}
    assert harm.wrong(bad) == [
        "panics: hosts were started 11 minutes after the first",
        "panics: a host was harmed twice",
    ]
    assert harm.wrong({"hangs": dict(bad["panics"], **{"times in all": 1})}) == []


def test_the_report_is_measured_with_so_many_cves_on_each_host(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(report, "BUILD", tmp_path)
    assert [report.main(20, most) for most in (10**6, 1)] == [0, 1]
    shown = capsys.readouterr().out
    assert shown.count("klp.report, 20 hosts with 400 CVEs each: ") == 2
    assert "1000000 MB: kept." in shown and shown.endswith("1 MB: BROKEN.\n")
    assert not list(tmp_path.iterdir())


def test_the_bench_of_one_cve_has_an_answer_of_each_kind_and_judges_it(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(emergency, "SIZE", 60)
    monkeypatch.setattr(emergency, "BUILD", tmp_path)
    assert bench.main(["cve"]) == 0
    found = emergency.measure(60, tmp_path)
    assert (found["fixed on some"]["fixed_live"] > 9, found["a restart"]["restart"] > 9) == (True, True)
    assert (found["a live patch"]["live_patch"] > 3, found["nobody"]["unknown"]) == (True, 60)
    assert "Each answer takes less than 2 s." in capsys.readouterr().out
    monkeypatch.setattr(emergency, "SECONDS", 0)
    assert emergency.main() == 1
    assert "SLOWER than 0 s: fixed on some" in capsys.readouterr().out
