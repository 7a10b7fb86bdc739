"""Updates as the second half of "covered": what is pending, left out, withdrawn, or of a mirror that stands still."""

import pytest

from _runners.klp import kinds
from tests.fleet import FROZEN, GLIBC, KERNEL_ITSELF, NONE, NOW, day, document
from tests.unit.report import only, summary

ITEM = {"id": "a", "severity": "critical", "kernel": False, "reason": "excluded", "since": None}
CASES: list = [
    ("failed", "withdrawn the live patch 5-150500.2.1 that is installed: klp.rollback goes back",
     {"live_patch__retracted": True}),
    ("failed", "is installed: klp.patch brings 6-1.1", {"live_patch__retracted": True, "live_patch__newest": "6-1.1"}),
    ("unknown", "whether SUSE has withdrawn", {"live_patch__retracted": None}),
    ("reboot", "1 package installed, in use after a restart only: glibc", {"updates__restart__host": ["glibc"]}),
    ("unknown", "asks for a reboot", {"reboot__needed": None}),
    ("covered", None, {"updates__restart__host": None, "updates__restart__services": ["cron.service"]}),
    ("updates", "pending: 1 critical and 2 important", {"updates__pending": {**NONE, "critical": 1, "important": 2}}),
    ("updates", "pending: 1 important", {"updates__pending": {**NONE, "important": 1}, "updates__left_out": [GLIBC]}),
    ("covered", None, {"updates__pending": {**NONE, "moderate": 1, "low": 2}}),
    ("unknown", "of unknown severity, pending or left out: 1", {"updates__pending": {**NONE, "unspecified": 1}}),
    ("left_out", f"important advisory left out (since 2026-11-18): {GLIBC['id']}: asks for a reboot; allow it with",
     {"updates__left_out": [GLIBC]}),
    ("left_out", "critical advisory left out: a: excluded", {"updates__left_out": [ITEM]}),
    ("left_out", "advisory left out: a: excluded", {"updates__left_out": [ITEM]}),
    ("covered", None, {"updates__left_out": [KERNEL_ITSELF]}),
    ("covered", None, {"updates__left_out": [{**ITEM, "severity": "moderate"}]}),
    ("unknown", "pending or left out: 1", {"updates__left_out": [{**ITEM, "severity": "unspecified"}]}),
    ("unknown", "stand still: SLE-Module-Basesystem15-SP5-Updates (45 days old)", {"updates__repositories": [FROZEN]}),
    ("unknown", "stand still: SLE-Module", {"updates__repositories": [{**FROZEN, "time": None}]}),
    ("unknown", "of unknown age: SLE-Module", {"updates__repositories": [{**FROZEN, "frozen": None}]}),
    ("unknown", "no enabled repository", {"updates__repositories": []}),
    ("unknown", "its updates are unknown: zypper said 6", {"updates__reason": "zypper said 6"}),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "why", "changes"), CASES)
def test_updates_count_for_the_kind_of_a_host(kind, why, changes):
    found = only(**changes)
    assert found["kind"] == kind and found["rank"] == list(kinds.KINDS).index(kind)
    assert why is None or why in "; ".join(found["why"])
    assert bool(found["command"]) == (kind != "covered")


@pytest.mark.parametrize(
    ("words", "changes"),
    [
        ("state.apply klp.patch", {"live_patch__retracted": True, "live_patch__newest": "6-1.1"}),
        ("state.apply klp.rollback", {"live_patch__retracted": True}),
        (
            "state.apply klp.rollback",
            {"live_patch__retracted": True, "live_patch__newest": "6-1.1", "live_patch__held": "5-1.1"},
        ),
        ("klp.verify", {"live_patch__retracted": True, "taint__errors": ["oops"]}),
    ],
)
def test_the_command_for_a_withdrawn_live_patch_is_the_one_that_leaves_it(words, changes):
    assert only(**changes)["command"] == f"salt web1 {words}"


def test_updates_that_make_no_kind_are_told_as_well():
    found = only(
        updates__pending={**NONE, "moderate": 1, "low": 2},
        updates__left_out=[{**ITEM, "severity": "low"}, KERNEL_ITSELF],
        updates__restart={"host": None, "services": ["cron.service", "sshd.service"]},
    )
    assert found["kind"] == "covered" and found["updates"] == {"pending": [0, 3], "left_out": [0, 1]}
    assert found["why"] == [
        "security advisories of low or moderate severity pending: 3",
        "security advisories of low or moderate severity left out: 1; klp.pending names them",
        "use what an update has replaced, see zypper ps, systemctl restart: cron.service, sshd.service",
    ]
    assert only(updates__restart={"host": [], "services": None})["why"] == [
        "unknown which services still use replaced files; see zypper ps"
    ]


def test_many_advisories_that_are_left_out_are_counted():
    found = only(updates__left_out=[{**ITEM, "id": f"a{number}"} for number in range(14)])
    assert len(found["why"]) == 11 and found["why"][9].endswith(": a9: excluded")
    assert found["why"][10] == "4 more are left out, klp.pending names them"


def test_no_long_reason_hides_which_advisory_is_left_out():
    (line,) = only(updates__left_out=[{**GLIBC, "reason": "x" * 5000}])["why"]
    assert GLIBC["id"] in line and "2026-11-18" in line and len(line) == 300


def test_what_is_left_out_somewhere_is_listed_once_with_its_hosts():
    minor = {**ITEM, "severity": "low"}
    hosts = [document(f"web{n}", updates__left_out=[minor, {**GLIBC, "since": NOW - n * 86400}]) for n in range(1, 6)]
    found = summary(*hosts, document("db1", updates__left_out=[{**GLIBC, "reason": "excluded"}, KERNEL_ITSELF]))
    assert [(row["id"][-4:], row["severity"], row["hosts"], row["since"]) for row in found["left_out"]] == [
        ("1375", "important", 5, day(-5)),
        ("1375", "important", 1, day(-9)),
        ("a", "low", 5, None),
    ]
    assert found["left_out"][0]["names"] == ["web1", "web2", "web3"]
    assert found["totals"]["updates"] == {"pending": 0, "left_out": 6}


def test_what_waits_for_a_restart_is_reboot_debt():
    assert summary(document("a", updates__restart__host=["glibc"]))["totals"]["reboot_debt"] == 1
