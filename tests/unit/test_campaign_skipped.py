"""The updates that a campaign leaves out, and what a host says of a failed scriptlet: in the plan and in the report."""

from _runners.klp import answers, show
from tests.simulation import campaign
from tests.simulation.book import Book
from tests.simulation.world import START, state
from tests.unit.campaigns import WAVES, answer, make, text, world

ROWS = [
    {
        "reason": "asks for a reboot",
        "advisories": ["SUSE-1"],
        "packages": ["glibc"],
        "more": 0,
        "hosts": ["h00", "h01"],
    },
    {"reason": "no", "advisories": [], "packages": list("abcdefgh"), "more": 3, "hosts": ["h02"]},
    {"reason": "late", "advisories": [], "packages": ["a"], "more": 0, "hosts": ["h03"]},
]
LEFT_OUT = text("""
    updates that are left out:
      2 x advisory SUSE-1, package glibc: asks for a reboot
          h00, h01
      1 x package a, package b, package c, package d, package e, package f and 5 more: no
          h02
      1 x package a: late
          h03
""")


def test_a_plan_names_the_updates_that_are_left_out():
    made = campaign.plan(world(4), waves=WAVES)
    found = show.plan_text(dict(made, skipped=ROWS))
    assert f"\n\n{LEFT_OUT}\n\nhash " in found
    many = show.plan_text(dict(made, skipped=ROWS * 10))
    assert "and 10 more, all of them with --out=json" in many
    del made["skipped"]
    assert "updates that are left out" not in show.plan_text(made)


def test_a_plan_names_the_updates_that_it_leaves_out_also_of_hosts_with_nothing_to_do():
    row = {"reason": "asks for\na reboot", "advisories": ["SUSE-1"], "packages": ["glibc\x1b"], "more": 0}
    other = {"reason": "excluded", "advisories": [], "packages": ["vim"], "more": 3}
    said = {f"h{number}": answer(f"h{number}", skipped=[row]) for number in range(3)}
    said["h3"] = answer("h3", skipped=[other, row], changes={})
    said["h4"] = answer("h4", skipped=[other], refusals=["no backup"])
    found = make(said)
    assert found["left_out"].keys() == {"h3", "h4"}
    assert found["skipped"] == [
        {**row, "reason": "asks for a reboot", "packages": ["glibc"], "hosts": ["h0", "h1", "h2", "h3"]},
        {**other, "hosts": ["h3"]},
    ]


def test_a_report_names_the_updates_that_were_left_out():
    book = Book()
    book.found.plan["skipped"] = ROWS
    document: dict = {"hosts": {}, "left_out": {}}
    assert LEFT_OUT in show.report_text(book.found, document, [{"at": START}])


def test_a_failed_scriptlet_is_the_reason_of_a_host_that_failed():
    said = "scriptlets: failed: a scriptlet failed: openssh-8.4-1; /var/log/zypp/history says how"
    states = {**state("klp-updates", True, "updated"), **state("klp-verified", False, said)}
    assert answers.ended("patch", {"return": states, "retcode": 2}) == (False, said)
