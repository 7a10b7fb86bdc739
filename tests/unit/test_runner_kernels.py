"""``klp.kernels``: one kernel for each group, who cannot take it and why, and what nobody knows."""

import copy

import pytest

import klp_cves
from _runners.klp import retarget, retarget_show, survey
from tests import fleet
from tests.fleet import day
from tests.unit.kernels import kernel
from tests.unit.report import HOSTILE

NONE_FITS = (
    "pillar klp:kernel:target: no kernel qualifies: 5.14.21-150500.55.99.1: there is no build of nvidia-kmp for it"
)


def runs(number, **more):
    return kernel(number, running=True, installed=True, cves={}, **more)


OLD = runs(50)
BAD = {"problems": ["there is no build of nvidia-kmp for it"]}


def chosen(told, silent=(), **documents):
    """Return what is found for hosts of group web that say so, as ``{host: kernels}``."""
    known = {host: fleet.document(host) for host in [*told, *silent]}
    known.update(documents)
    found = {host: retarget.kernels(host, copy.deepcopy(items)) for host, items in told.items()}
    return retarget.plan(known, found, dict.fromkeys(silent, "no answer"))


def one(told, **more):
    (row,) = chosen(told, **more)["groups"]
    return row


def edition(row):
    return row["kernel"] and row["kernel"]["edition"].split(".")[-2]


GUESS = {"window": {"state": "unknown", "last": day(80), "estimated": True}}
NEVER = {"window": {"state": "unknown", "last": None, "estimated": False}}
CHOICES = [
    ("all of them can take the longest window", [[kernel(99), kernel(80), OLD], [kernel(99), OLD]], "99"),
    ("one cannot: what all can take wins", [[kernel(99), kernel(80), OLD], [kernel(99, **BAD), kernel(80), OLD]], "80"),
    ("no kernel for all: that of the most", [[kernel(99), OLD], [kernel(99), OLD], [kernel(80), OLD]], "99"),
    ("one can stay only, and holds up nobody", [[kernel(99), OLD], [kernel(99, **BAD), OLD]], "99"),
    ("a longer window of an older kernel", [[kernel(99, last=70), kernel(80), OLD]], "80"),
    ("data before an estimate", [[kernel(99, **GUESS), kernel(80), OLD]], "80"),
    ("equal windows: the newest", [[kernel(9), kernel(100, last=90), kernel(99, last=90), OLD]], "100"),
    ("the shortest window counts", [[kernel(99), kernel(98), OLD], [kernel(99, last=60), kernel(98), OLD]], "98"),
    ("some run it already", [[runs(99), kernel(98, problems=["older"])], [kernel(99), OLD]], "99"),
    ("nothing is better than what runs", [[kernel(51, last=40), OLD]], "50"),
    ("a withdrawn one is none", [[kernel(99, retracted=True), kernel(80), OLD]], "80"),
    ("a window that nobody knows is the shortest", [[kernel(99, **NEVER), OLD]], "50"),
    ("nobody can", [[kernel(99, **BAD)]], None),
]


@pytest.mark.parametrize(("told", "want"), [case[1:] for case in CHOICES], ids=[case[0] for case in CHOICES])
def test_the_kernel_of_a_group(told, want):
    assert edition(one({f"host{number}": items for number, items in enumerate(told)})) == want


def test_who_cannot_take_it_is_told_with_the_reason_and_who_does_not_say_is_unknown():
    declared = fleet.document("n", kernel_target=None)
    found = chosen(
        {"a": [kernel(99), OLD], "b": [kernel(99, **BAD), OLD], "c": [kernel(80, **BAD), OLD], "n": [kernel(99), OLD],
         "r": [runs(99)]},
        silent=["s"],
        n=declared,
    )  # fmt: skip
    (row,) = found["groups"]
    assert (row["can"], row["runs"], row["hosts"]) == (["a", "r"], ["r"], ["a", "b", "c", "n", "r", "s"])
    assert row["cannot"] == {
        "b": ["there is no build of nvidia-kmp for it"],
        "c": ["kernel-default 5.14.21-150500.55.99.1 is in none of its repositories"],
        "n": ["its pillar klp:kernel:target is none"],
    }
    assert row["unknown"] == {"s": ["no answer"]} and not retarget.complete(found)
    assert retarget.complete(chosen({"a": [kernel(99), OLD]}))


def test_a_group_without_any_kernel_says_what_speaks_against_each():
    aim = {**fleet.document()["kernel_target"], "problem": NONE_FITS}
    row = one({"a": [kernel(99, **BAD)], "b": [kernel(99, **BAD), kernel(98, retracted=True)], "c": []},
              a=fleet.document("a", kernel_target=aim))  # fmt: skip
    assert row["cannot"] == {
        "a": [NONE_FITS],
        "b": [
            "5.14.21-150500.55.99.1: there is no build of nvidia-kmp for it",
            "5.14.21-150500.55.98.1: its vendor has withdrawn it",
        ],
        "c": ["it knows no kernel of its flavour"],
    }
    assert (row["kernel"], row["locks"], row["filters"]) == (None, [], [])
    assert "  kernel      none that any of them can take" in retarget_show.text({"groups": [row], "silent": {}})


def test_a_host_that_can_get_nothing_else_is_not_well_because_it_runs_something():
    aim = {**fleet.document()["kernel_target"], "problem": NONE_FITS}
    found = chosen({"a": [kernel(99, **BAD), OLD], "b": [OLD]}, a=fleet.document("a", kernel_target=aim))
    (row,) = found["groups"]
    assert (edition(row), row["can"], row["cannot"]) == ("50", ["b"], {"a": [NONE_FITS]})
    found = chosen(
        {"a": [kernel(98, **BAD), runs(99)], "b": [kernel(99), OLD]}, a=fleet.document("a", kernel_target=aim)
    )
    assert found["groups"][0]["cannot"] == {}, "it runs what the others get"


def test_what_is_not_known_of_a_kernel_is_no_yes():
    found = chosen({"a": [kernel(99, retracted=None), OLD]})
    assert found["groups"][0]["unsure"] == ["a"] and not retarget.complete(found)
    assert "whether it was withdrawn, on a: no advisory there speaks of kernels" in retarget_show.text(found)


def test_each_group_has_its_own_and_hosts_without_a_document_have_none():
    db = fleet.document("d", group="db", os="sles-12.5")
    told = {"a": [kernel(99), OLD], "d": [kernel(80), OLD]}
    found = retarget.plan({"a": fleet.document("a"), "d": db}, told, {"z": "no answer; is its minion running?"})
    assert [(row["group"], edition(row)) for row in found["groups"]] == [("db", "80"), ("web", "99")]
    assert found["silent"] == {"z": "no answer; is its minion running?"} and not retarget.complete(found)
    assert (
        "kernel-default-man" in found["groups"][0]["locks"] and "kernel-default-man" not in found["groups"][1]["locks"]
    )
    assert retarget_show.text(found).endswith(
        "1 host of unknown group\n  unknown     z: no answer; is its minion running?"
    )


def test_the_filters_leave_out_each_newer_kernel_and_no_other():
    """kernel-default-base has its own build behind the release: SUSE-SU-2025 of 15 SP5 has both of one kernel."""
    kernel_, base = retarget.filters("kernel-default", "5.14.21-150500.55.91.1")
    assert (kernel_["package"], kernel_["version"], kernel_["release"]) == (
        "kernel-default",
        "5.14.21",
        "150500.55.91.1",
    )
    assert (kernel_["type"], kernel_["matcher"], kernel_["epoch"]) == (
        "Patch (Contains Package)", "version greater than", "",
    )  # fmt: skip
    assert base["package"] == "kernel-default-base"
    limit = f"{base['version']}-{base['release']}"
    assert not klp_cves.newer("5.14.21-150500.55.91.1.150500.6.41.1", limit)
    assert klp_cves.newer("5.14.21-150500.55.91.1.150500.6.41.1", "5.14.21-150500.55.91.1"), (
        "a plain copy denies its own"
    )
    for later in ("150500.55.94.1.150500.6.43.1", "150500.55.91.2.150500.6.1.1", "150500.56.1.1"):
        assert klp_cves.newer(f"5.14.21-{later}", limit)


TEXT = """\
group web: 3 hosts
  kernel      kernel-default 5.14.21-150500.55.99.1
  live patch  kernel-livepatch-5_14_21-150500_55_99-default 2-150500.2.1
  window      until 2027-03-06, an estimate, it is over
  closes      1 CVE: 1 important
  can         2 of 3, 0 run it already
  declare     klp:kernel:target: 5.14.21-150500.55.99.1, which is not yet the target of a, b
  locks       kernel-default kernel-default-base kernel-default-devel kernel-default-extra kernel-default-optional kernel-devel kernel-macros kernel-source kernel-syms
  CLM filters Deny, Patch (Contains Package), version greater than, epoch empty
              kernel-default, version 5.14.21, release 150500.55.99.1
              kernel-default-base, version 5.14.21, release 150500.55.99.1.999999
  cannot      there is no build of nvidia-kmp for it: c"""  # noqa: E501


def test_a_terminal_shows_it():
    guess = {"window": {"state": "expired", "last": day(99), "estimated": True}}
    told = {"a": [kernel(99, **guess), OLD], "b": [kernel(99, **guess), OLD], "c": [kernel(99, **BAD), OLD]}
    assert retarget_show.text(chosen(told)) == TEXT
    assert retarget_show.text({"groups": [], "silent": {}}) == "no host is in the target"


@pytest.mark.parametrize("text", HOSTILE)
def test_what_hosts_write_is_one_line(text):
    aim = {**fleet.document()["kernel_target"], "problem": text}
    found = chosen({text: [kernel(99, problems=[text])]}, **{text: fleet.document(text, group=text, kernel_target=aim)})
    found["silent"] = retarget.plan({}, {}, {text: text})["silent"]
    shown = retarget_show.text(found)
    assert all(line.isprintable() for line in shown.split("\n")) and shown.count("\n") == 5


WRONG = [
    ("'klp_audit.kernels' is not available.", "run: salt 'a' saltutil.sync_all"),
    ("ERROR: no repositories\nare enabled", "ERROR: no repositories are enabled"),
    ({"edition": "1"}, "wanted a list of at most 500 values"),
    ([kernel(99, edition="x")], "1:edition: wanted VERSION-RELEASE, found x"),
    ([kernel(99, package="glibc")], "1:package: wanted a kernel package, found glibc"),
    ([kernel(99, window={"state": "open", "last": "soon", "estimated": True})], "1:window:last: wanted a day"),
]


@pytest.mark.parametrize(("value", "said"), WRONG)
def test_nonsense_of_a_host_is_named(value, said):
    with pytest.raises(retarget.answers.NonsenseError, match="(?s).*") as caught:
        retarget.kernels("a", value)
    assert said in str(caught.value)


# -- the command -------------------------------------------------------------------------------------------------


@pytest.fixture
def hosts(master, monkeypatch):
    """A master whose four hosts have documents in the mine, and say which kernels they could run."""
    names = [f"web{number}" for number in range(4)]
    master.there = {name: fleet.document(name, time=fleet.NOW) for name in names}
    master.told = {name: [kernel(99), OLD] for name in names}
    master.asked = []

    def ask(part, fun, arg, timeout):
        master.asked.append((fun, sorted(part), timeout))
        return {host: True if fun == "test.ping" else master.told[host] for host in part if host in master.told}

    monkeypatch.setattr(master, "mine", lambda *args: master.there)
    monkeypatch.setattr(master.fleet, "ask", ask)
    monkeypatch.setattr(survey.time, "time", lambda: fleet.NOW)
    return master


def test_all_hosts_are_asked_and_the_exit_code_says_whether_all_can(hosts):
    answer = hosts.run("kernels")
    assert (answer["retcode"], [edition(row) for row in answer["groups"]], answer["silent"]) == (0, ["99"], {})
    names = [f"web{number}" for number in range(4)]
    assert hosts.asked == [("test.ping", names, 15), ("klp_audit.kernels", names, 300)]
    hosts.told["web1"] = [kernel(99, **BAD), OLD]
    answer = hosts.run("kernels")
    assert (answer["retcode"], answer["groups"][0]["cannot"]) == (2, {"web1": BAD["problems"]})


def test_hosts_that_say_nothing_are_unknown_in_their_group_and_without_a_document_in_none(hosts):
    del hosts.told["web0"]
    hosts.told["web1"] = "ERROR: zypper: exit code 6"
    del hosts.there["web2"], hosts.told["web2"]
    answer = hosts.run("kernels")
    assert answer["retcode"] == 2
    assert answer["groups"][0]["unknown"] == {
        "web0": ["no answer; is its minion running?"],
        "web1": ["ERROR: zypper: exit code 6"],
    }
    assert answer["silent"] == {"web2": "no answer; is its minion running?"}
    for line in ("unknown     ERROR: zypper: exit code 6: web1", "1 host of unknown group"):
        assert line in answer["text"]


def test_wrong_settings_are_refused_before_anybody_is_asked(hosts):
    assert "klp_report:shares: unknown key" in hosts.refused("kernels", pillar={"klp_report": {"shares": 1}})
    assert hosts.asked == []
