"""The benchmark of one host: what it runs does what it says, and the figures are those of the run."""

from bench import host as bench


def test_a_round_of_runs_with_nothing_to_do_costs_no_zypper(lab, monkeypatch):
    monkeypatch.setattr(bench, "STEADY_TIMES", 1)
    found = bench.gather(bench.steady(lab, None))
    assert {name: [(cost.zypper, cost.code) for cost in costs] for name, costs in found.items()} == {
        bench.OURS: [(0, 0)],
        bench.THEIRS: [(5, 0)],
        bench.EMPTY: [(0, 0)],
    }
    assert all(cost.seconds > 0.1 and cost.cpu > 0.1 for (cost,) in found.values())


def test_a_new_live_patch_is_installed_by_either_formula(lab, monkeypatch):
    monkeypatch.setattr(bench, "TIMES", 1)
    found = bench.gather(bench.repeat(lab, bench.NEXT, "converged", None, bench.prepare_next))
    assert {name: (cost.code, cost.zypper > 0) for name, (cost,) in found.items()} == {
        bench.OURS: (0, True),
        bench.THEIRS: (0, True),
    }
