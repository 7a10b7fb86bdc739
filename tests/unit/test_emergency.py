"""``klp.cve``: how each host stands with one CVE, and what is not known; judged from documents."""

import json

import pytest

from _runners.klp import emergency, emergency_show
from tests import fleet
from tests.fleet import NOW
from tests.unit.emergencies import CVE, DAY, OTHER, TARGET, having
from tests.unit.report import HOSTILE

LIMITS = {"max_age": 24, "asked": False, "quarantine": set()}
REPOSITORY = {"alias": "SLE-Product-SLES15-SP5-Updates", "time": NOW - DAY, "frozen": False}


def asked(*found, cves=(CVE,), silent=None, **limits):
    briefs = [emergency.brief(item, list(cves)) for item in found]
    answer = emergency.answer(list(cves), briefs, silent or {}, {**LIMITS, **limits}, NOW)
    assert json.loads(json.dumps(answer)) == answer
    for item in answer["cves"]:
        assert sum(item["totals"].values()) == answer["hosts"] == sum(row["hosts"] for row in item["groups"])
    return answer


def one(*found, **more):
    """Return the only CVE of an answer."""
    (item,) = asked(*found, **more)["cves"]
    return item


def row(*found, **more):
    """Return the only group of it."""
    (group,) = one(*found, **more)["groups"]
    return group


def why(host, *others, **more):
    """Return why it is not known how a host stands, as others have the CVE."""
    lines = [line for group in one(host, *others, **more)["groups"] for line in group["unknown"]]
    return next((line["why"] for line in lines if host["host"] in line["hosts"]), None)


NAMES = having("fixed_live", "named", group="other", kernel=fleet.KERNEL.format(50))  # older than that of the others


def test_each_category_has_its_hosts():
    found = row(
        having("fixed_live", "a"),
        having("pending", "b", live_patch__newest="6-150500.2.1"),
        having("reboot", "c", kernel_target=TARGET),
        having(None, "d", kernel=fleet.KERNEL.format(100)),
        having("unknown", "e"),
    )
    assert (found["group"], found["hosts"]) == ("web", 5)
    assert (found["fixed_live"], found["not_affected"]) == (["a"], ["d"])
    assert found["live_patch"] == [
        {
            "package": "kernel-livepatch-5_14_21_150500_55_94-default",
            "edition": "6-150500.2.1",
            "held": False,
            "quarantined": False,
            "hosts": ["b"],
        }
    ]
    assert found["restart"] == [
        {
            "package": "kernel-default",
            "edition": "5.14.21-150500.55.100.1",
            "release": fleet.KERNEL.format(100),
            "closes": True,
            "problem": None,
            "hosts": ["c"],
        }
    ]
    assert [line["hosts"] for line in found["unknown"]] == [["e"]]


def test_another_cve_of_the_same_hosts_gets_another_answer():
    first = having("fixed_live", "a", cves__pending=[OTHER], cves__severity={OTHER: "low"})
    found = asked(first, having("pending", "b"), cves=(CVE, OTHER))["cves"]
    assert [item["cve"] for item in found] == [CVE, OTHER]
    assert [(item["totals"]["fixed_live"], item["totals"]["live_patch"]) for item in found] == [(1, 1), (0, 1)]
    assert [item["severity"] for item in found] == ["critical", "low"]
    assert found[1]["groups"][0]["unknown"][0]["hosts"] == ["b"]


# -- not known ---------------------------------------------------------------------------------------------------

ASK = f"ask for it: salt-run klp.cve {CVE} ask=missing"
READ = "its CVEs are not known: zypper: exit code 6"
NOT_NAMED = "its document does not name the CVE, and"
OLDER = "its document does not name the CVE, but named with a newer kernel does: fixed live"
UNKNOWN = [
    ("old", "fixed_live", {"time": NOW - DAY}, f"its document is older than 24 hours; {ASK}"),
    ("ahead", "fixed_live", {"time": NOW + 400}, emergency.AHEAD),
    ("not read", "fixed_live", {"cves__reason": "zypper: exit code 6"}, READ),
    ("not read, not named", None, {"cves__reason": "zypper: exit code 6"}, READ),
    ("twice", "fixed_live", {"cves__pending": [CVE]}, emergency.TWICE),
    ("unclear", "unknown", {}, "its sources do not say whether it is fixed: run klp_audit.cves on it"),
    ("clash", "unknown", {"cves__contradictions": [f"{CVE}: klp says so (no advisory)", f"{CVE}1: x"]},
     "its sources do not say whether it is fixed: klp says so (no advisory)"),
    ("no repositories", None, {"updates__repositories": []}, emergency.NO_REPOSITORIES),
    ("frozen", None, {"updates__repositories": [fleet.FROZEN]},
     f"{NOT_NAMED} repository SLE-Module-Basesystem15-SP5-Updates has stood still since 2026-10-13"),
    ("frozen, since when", None, {"updates__repositories": [{**fleet.FROZEN, "time": None}]},
     f"{NOT_NAMED} repository SLE-Module-Basesystem15-SP5-Updates has stood still since a day that is not known"),
    ("undated", None, {"updates__repositories": [{**REPOSITORY, "frozen": None}]},
     f"{NOT_NAMED} the age of repository SLE-Product-SLES15-SP5-Updates is not known"),
    ("behind", None, {"updates__repositories": [{**REPOSITORY, "time": NOW - 2 * DAY}]}, emergency.BEHIND),
    ("no such repository", None, {"updates__repositories": [{**REPOSITORY, "alias": "x"}]},
     f"{NOT_NAMED} it lacks repository SLE-Product-SLES15-SP5-Updates, which all hosts have that name it"),
    ("older kernel", None, {"kernel": fleet.KERNEL.format(49)}, OLDER),
    ("same kernel", None, {"kernel": fleet.KERNEL.format(50)},
     "its document does not name the CVE, but named with the same kernel does: fixed live"),
    ("other system", None, {"os": "sles-15.4"},
     "no advisory for sles-15.4 names it: not affected, or no update is out yet"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "state", "more", "said"), UNKNOWN, ids=[item[0] for item in UNKNOWN])
def test_what_is_not_known_is_unknown_with_its_reason(name, state, more, said):
    assert why(having(state, **more), NAMES) == said


def test_the_same_hosts_are_known_where_nothing_speaks_against_it():
    for state in ("fixed_live", None, "pending", "reboot"):
        assert why(having(state), NAMES) is None, state
    more = {**REPOSITORY, "alias": "x", "time": NOW - 9 * DAY}
    assert why(having(None, updates__repositories=[REPOSITORY, more]), NAMES) is None
    assert why(having(None, kernel="5.14.21-150500.55.9-rt"), NAMES) is None
    assert why(having(None, kernel="5.14.21-150500.55.9-default"), NAMES) == OLDER
    assert why(having(None, updates__repositories=[{**REPOSITORY, "time": None}]), NAMES) == emergency.BEHIND
    assert why(having("fixed_live", updates__repositories=[fleet.FROZEN]), NAMES) is None


def test_a_cve_that_nobody_names_is_not_called_harmless():
    """A typing error, or the first day: there is no update yet."""
    found = asked(having(None, "a"), having(None, "b"))
    assert emergency.verdict(found) == "unknown"
    assert found["cves"][0]["totals"] == {**dict.fromkeys(emergency.CATEGORIES, 0), "unknown": 2}


def test_the_oldest_repositories_of_those_who_name_it_count():
    late = having("pending", "late", kernel="k", updates__repositories=[{**REPOSITORY, "time": NOW - 2 * DAY}])
    assert why(having(None, updates__repositories=[{**REPOSITORY, "time": NOW - 2 * DAY}]), NAMES, late) is None
    undated = having("pending", "u", kernel="k", updates__repositories=[{**REPOSITORY, "time": None}])
    assert why(having(None), undated) is None


def fixed(host, **more):
    """Return what a host says that was asked, and has the fix in its running kernel."""
    return emergency.brief(having(None, host, **more), [CVE])._replace(states=["fixed_kernel"])


def test_one_host_that_was_asked_answers_for_all_with_the_same_kernel():
    stale = {"updates__repositories": [fleet.FROZEN]}
    briefs = [fixed("a"), *(emergency.brief(item, [CVE]) for item in (
        having(None, "b", **stale), having(None, "c", time=NOW - DAY), having(None, "d", kernel="other"),
        having(None, "e", os="sles-15.6"),
    ))]  # fmt: skip
    (item,) = emergency.answer([CVE], briefs, {}, LIMITS, NOW)["cves"]
    (found,) = item["groups"]
    assert (found["fixed_kernel"], found["not_affected"]) == (["a", "b"], ["d"])
    assert sorted(line["hosts"][0] for line in found["unknown"]) == ["c", "e"]
    briefs.append(emergency.brief(having("fixed_live", "f"), [CVE]))
    (item,) = emergency.answer([CVE], briefs, {}, LIMITS, NOW)["cves"]
    assert (item["totals"]["fixed_kernel"], item["totals"]["unknown"]) == (1, 3), "the sources contradict each other"


def test_a_host_without_a_document_has_no_group():
    found = one(having("fixed_live"), silent={"lost": "no answer", "gone": "no answer", "mute": "too late"})
    assert found["groups"][-1] == {
        **dict.fromkeys(emergency.CATEGORIES, []),
        "group": None,
        "hosts": 3,
        "unknown": [{"why": "no answer", "hosts": ["gone", "lost"]}, {"why": "too late", "hosts": ["mute"]}],
    }
    assert (found["totals"]["fixed_live"], found["totals"]["unknown"]) == (1, 3)


def test_a_host_that_was_asked_and_gave_nothing_newer_is_told_so():
    assert why(having("fixed_live", time=NOW - 9 * DAY), asked=True) == (
        "its document is older than 24 hours, and it gave no newer one"
    )


# -- what helps --------------------------------------------------------------------------------------------------


def test_hosts_whose_live_patch_may_not_come_are_in_no_plan():
    pair = ("kernel-livepatch-5_14_21_150500_55_94-default", "7-150500.2.1")
    found = one(
        having("pending", "a", live_patch__newest="6-150500.2.1"),
        having("pending", "held", live_patch__newest="6-150500.2.1", live_patch__held="5-150500.2.1"),
        having("pending", "banned", live_patch__newest="7-150500.2.1"),
        quarantine={pair},
    )
    assert emergency.plannable(found["groups"], "live_patch") == ["a"]
    assert found["commands"] == {"live_patch": f"salt-run klp.plan cve={CVE}", "restart": None}
    alone = one(having("pending", "a", live_patch__held="5-150500.2.1"))
    assert alone["commands"]["live_patch"] is None and alone["totals"]["live_patch"] == 1


def closes(**more):
    return row(having("reboot", **more))["restart"][0]["closes"]


TWO = {"cves__reboot": [CVE, OTHER], "cves__severity": {CVE: "critical", OTHER: "critical"}}


def target(**more):
    return {"kernel_target": {**TARGET, **more}}


@pytest.mark.parametrize(
    ("more", "said"),
    [
        pytest.param(target(), True, id="the only one of its severity, and one is closed"),
        pytest.param({**target(cves={**fleet.NONE, "critical": 2}), **TWO}, True, id="both of its severity"),
        pytest.param({**target(), **TWO}, None, id="one of two: which one is not said"),
        pytest.param(target(cves=fleet.NONE), False, id="none of its severity"),
        pytest.param({**target(cves={**fleet.NONE, "unspecified": 1}), "cves__severity": {}}, True, id="no severity"),
        pytest.param(target(release=fleet.KERNEL.format(94)), False, id="the kernel that runs"),
        pytest.param(target(edition=None, problem="no kernel qualifies"), False, id="no kernel"),
        pytest.param({"kernel_target": None}, False, id="none is wanted"),
    ],
)
def test_whether_the_next_kernel_closes_it(more, said):
    assert closes(**more) is said
    command = f"salt-run klp.plan kernel cve={CVE}" if said else None
    assert one(having("reboot", **more))["commands"]["restart"] == command


def test_why_no_kernel_comes_is_told():
    assert (
        row(having("reboot", **target(edition=None, problem="no room")))["restart"][0]["problem"]
        == "no kernel: no room"
    )
    assert row(having("reboot", **target(edition=None)))["restart"][0]["problem"] == "no kernel: no reason is told"
    assert row(having("reboot", kernel_target=None))["restart"][0]["problem"] == emergency.DECLARED


@pytest.mark.parametrize(
    ("found", "silent", "word"),
    [
        ([having("fixed_live", "a"), having(None, "b", kernel="k")], {}, "fixed"),
        ([having("fixed_live", "a")], {"lost": "no answer"}, "unknown"),
        ([having("fixed_live", "a"), having("pending", "b")], {"lost": "no answer"}, "open"),
        ([having("reboot", "a")], {}, "open"),
    ],
)
def test_the_verdict(found, silent, word):
    assert emergency.verdict(asked(*found, silent=silent)) == word


# -- the question ------------------------------------------------------------------------------------------------

WRONG = [None, "", 31431, [], [7], {CVE: 1}, "CVE-2026-314", "CVE-26-31431", f"{CVE};id", f"{CVE}\n,", "CVE-2026-١٢٣٤"]
WRONG += ["../../etc/passwd", "-x", "CVE-2026-" + "1" * 20]


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (CVE, [CVE]),
        ("cve-2026-31431", [CVE]),
        (f"{OTHER}, {CVE},{CVE}", [CVE, OTHER]),
        ([CVE], [CVE]),
        ([f"CVE-2026-{number}" for number in range(1000, 1021)], None),
        *((value, None) for value in WRONG),
    ],
)
def test_only_ids_of_cves_are_taken(value, found):
    assert emergency.wanted(value) == found


# -- what a terminal shows ---------------------------------------------------------------------------------------

MANY = f"""\
{CVE} (critical): 11 hosts
  fixed live    7 hosts: the active live patch fixes it
  live patch    1 host: a newer live patch fixes it, and is there
  restart       1 host: only a newer kernel fixes it
  unknown       2 hosts: not known, the reason is below

no group: 1 host
  restart       kernel-default 5.14.21-150500.55.100.1 closes it: 1 host (c)

group web: 8 hosts
  fixed live    7 hosts (a0, a1, a2, a3, a4, a5 and 1 more)
  live patch    kernel-livepatch-5_14_21_150500_55_94-default 6-150500.2.1: 1 host (b)

without a document: 2 hosts
  unknown       no answer: 2 hosts (x, y)

plan for 1 host: salt-run klp.plan cve={CVE}
plan for 1 host: salt-run klp.plan kernel cve={CVE}

9 documents: the oldest is 20.0 h old (b), half of them are 10 min old or less"""


def test_a_terminal_shows_many_hosts():
    found = asked(
        *(having("fixed_live", f"a{number}") for number in range(7)),
        having("pending", "b", live_patch__newest="6-150500.2.1", time=NOW - 20 * 3600),
        having("reboot", "c", group="", kernel_target=TARGET),
        silent={"x": "no answer", "y": "no answer"},
    )
    assert emergency_show.text(found) == MANY


def test_groups_of_which_the_same_is_to_be_said_are_shown_as_one():
    text = emergency_show.text(
        asked(*(having("fixed_live", f"a{number}", group=f"g{number}") for number in range(3)),
              having("fixed_live", "b", group=""), having("pending", "c", group="db"))
    )  # fmt: skip
    assert "\n\n4 groups (no group, g0, g1, g2): 4 hosts\n  fixed live    4 hosts (b, a0, a1, a2)\n\n" in text
    assert "\n\ngroup db: 1 host\n  live patch" in text


def test_a_terminal_shows_one_host():
    assert emergency_show.text(asked(having("fixed_live"))) == (
        f"{CVE} (critical): 1 host\n"
        "  fixed live    1 host: the active live patch fixes it\n\n"
        "group web: 1 host\n  fixed live    1 host (web1)\n\n"
        "1 document, 10 min old (web1)"
    )
    assert emergency_show.text(asked(silent={"a": "no answer"})).endswith("1 host (a)\n\nno host has a document")


def test_a_terminal_shows_what_is_in_the_way():
    text = emergency_show.text(
        asked(
            having("pending", "a", live_patch__held="1-1", live_patch__package=None, live_patch__newest=None),
            having("pending", "b", live_patch__newest="7-1"),
            having("reboot", "c", **target(), **TWO),
            having("reboot", "d", **target(cves=fleet.NONE)),
            having("reboot", "e", kernel_target=None),
            quarantine={("kernel-livepatch-5_14_21_150500_55_94-default", "7-1")},
        )
    )
    for line in (
        "a newer one, held since the host went back; release it with klp.unhold: 1 host (a)",
        "default 7-1, in quarantine; release it with klp.release: 1 host (b)",
        "55.100.1 (not known whether it closes it, ask=missing tells): 1 host (c)",
        "55.100.1 does not close it: 1 host (d)",
        f"{emergency.DECLARED}: 1 host (e)",
    ):
        assert line in text
    assert "plan for" not in text


@pytest.mark.parametrize("text", HOSTILE)
def test_what_hosts_write_is_one_line(text):
    aim = {**TARGET, "edition": None, "problem": text}
    found = asked(
        having("unknown", "a", group=text, cves__contradictions=[f"{CVE}: {text}"]),
        having(None, "b", group=text, cves__reason=text),
        having(None, "c", os=text),
        having(None, "d", updates__repositories=[{**fleet.FROZEN, "alias": text}]),
        having("reboot", "e", kernel_target=aim),
        silent={text: text},
    )
    shown = emergency_show.text(found)
    assert all(line.isprintable() for line in shown.split("\n"))
