"""How plans, campaigns and reports look."""

import pytest

from _runners.klp import show
from tests.simulation import campaign
from tests.simulation.book import Book
from tests.simulation.world import NEW, OLD, PACKAGE, START
from tests.unit.campaigns import WAVES, text, world


def test_a_plan():
    there = world(12)
    there.hosts["h05"].edition = NEW
    held = {"package": PACKAGE, "edition": "9-9", "campaign": "f" * 12}
    made = campaign.plan(there, waves=WAVES, batch=3, exclude=["h03"], busy={"h04": "e" * 12}, banned=[held])
    made["hosts"]["h11"].update(note="live patch 9-9 is in quarantine", before=None)
    assert show.plan_text(dict(made, id="0123456789ab", hash="0123456789ab" + "0" * 52)) == text("""
        Plan 0123456789ab: patch 9 of 12 hosts, made 2027-01-15 08:00:00 UTC

        wave    hosts  at once  expected  watched after (min)
        canary      1        1  16 min    1, 5, 15
        rest        8        3  18 min    1, 5, 15

        canary:
          1 x live patch 2-150500.2.1 -> 3-150500.2.1; 1 package (curl)
              h00

        rest:
          7 x live patch 2-150500.2.1 -> 3-150500.2.1; 1 package (curl)
              h01, h02, h06, h07, h08, h09 and 1 more
          1 x live patch none -> 3-150500.2.1; 1 package (curl)
              h11   (live patch 9-9 is in quarantine)

        left out, excluded: 1
          h03: pillar klp_campaign:exclude
        left out, refused: 1
          h04: it is in campaign eeeeeeeeeeee, which is not over
        left out, nothing to do: 1
          h05

        hash 0123456789ab0000000000000000000000000000000000000000000000000000
        To run what is shown here: salt-run klp.run 0123456789ab
    """)


def test_a_plan_for_nobody_has_no_next_command():
    there = world(2)
    for host in there.hosts.values():
        host.edition = NEW
    found = show.plan_text(campaign.plan(there, waves=WAVES, soak={"minutes": []}))
    assert "patch 0 of 2 hosts" in found and "klp.run" not in found
    assert "canary      0        0  0 s       no" in found and "left out, nothing to do: 2\n  h00, h01" in found


def test_many_that_are_left_out_are_counted():
    found = show.plan_text(campaign.plan(world(25), exclude=["*"]))
    assert "left out, excluded: 25\n  h00: pillar" in found and "  h19: pillar" in found and "\n  and 5 more\n" in found
    assert "h20" not in found


@pytest.mark.parametrize(
    ("changes", "before", "said"),
    [
        ({PACKAGE: NEW}, OLD, f"live patch {OLD} -> {NEW}"),
        ({PACKAGE: NEW}, None, f"live patch none -> {NEW}"),
        ({"b": "1", "a": "1", "c": "1", "d": "1", "e": "1"}, NEW, "5 packages (a, b, c, d and 1 more)"),
        ({}, NEW, "the live patch once more"),
    ],
)
def test_what_a_host_gets_in_a_few_words(changes, before, said):
    assert show._gets("patch", {"package": PACKAGE, "target": NEW, "changes": changes}, before) == said


def book(**klp_campaign):
    """Return a campaign over four hosts of which the second wave runs."""
    found = Book(["h00", "h01", "h02", "h03"], waves=WAVES, batch=3, **klp_campaign)
    found.begin().pass_wave(["h00"]).add("open", wave=1)
    found.plan["id"] = found.found.id = "0123456789ab"
    return found.start(["h01", "h02"], "20270115080000000000")


def status(found, driven=True, **more):
    return show.status_text(found.found, driven, found.now + 90, **more)


def test_a_campaign_that_runs():
    found = book().end(["h01"], "20270115080000000000", "zypper: exit 4")
    found.found.hosts["h03"].why = "its run was cut off"
    assert status(found) == text("""
        Campaign 0123456789ab (patch): running

        wave                              hosts  verified  running  failed  unreachable  waiting
        canary  ########################      1         1        0       0            0        0  passed
        rest    ########................      3         0        1       1            0        1  now

        running:
          h02: runs since 90 s, job 20270115080000000000

        to look at:
          h01: failed: zypper: exit 4
          h03: waiting: its run was cut off

        Next: salt-run klp.status 0123456789ab watch=5, or klp.pause, or klp.abort
    """)
    assert "running:" not in status(found, hosts=False) and "h01" not in status(found, hosts=False)
    assert status(found, driven=False).splitlines()[0].endswith("interrupted, no process drives it")
    assert status(found, driven=False).splitlines()[-1] == "Next: salt-run klp.resume 0123456789ab"


def test_a_campaign_that_has_stopped_and_goes_back():
    found = book(on_failure="rollback").end(["h01", "h02"], "20270115080000000000", "zypper: exit 4")
    assert [found.do(), found.do()] == ["gate", "quarantine"]
    found.add("back", hosts=["h01"], jid="20270115090000000000", by=0)
    assert status(found) == text("""
        Campaign 0123456789ab (patch): stopping
          wave rest: 2 of 3 hosts failed, limit 0

        wave                              hosts  verified  running  failed  unreachable  waiting
        canary  ########################      1         1        0       0            0        0  passed
        rest    ################........      3         0        0       2            0        1  now

        running:
          h01: runs since 90 s, job 20270115090000000000

        to look at:
          h02: failed: zypper: exit 4

        rollback: 1 back waiting, 1 back running

        in quarantine: kernel-livepatch-5_14_21-150500_55_7-default 3-150500.2.1; release it with:
          salt-run klp.release kernel-livepatch-5_14_21-150500_55_7-default 3-150500.2.1

        Next: salt-run klp.status 0123456789ab watch=5, or klp.pause, or klp.abort
    """)


def test_the_states_of_a_campaign():
    found = Book("ab", waves=[{"name": "all"}])
    found.found.id = "0123456789ab"
    assert show.state(found.found, False) == "not begun"
    assert show.next_command(found.found, False) == "salt-run klp.run 0123456789ab"
    found.begin().add("pause", by="anna", number=1)
    assert show.state(found.found, True) == "paused by anna"
    assert show.next_command(found.found, True) == "salt-run klp.resume 0123456789ab"
    found.add("end", result="aborted")
    assert show.state(found.found, False) == "aborted at 2027-01-15 08:00:00 UTC"
    assert show.next_command(found.found, False) == "salt-run klp.report 0123456789ab"


def test_a_campaign_whose_way_back_is_paused_says_so():
    found = book(on_failure="rollback").end(["h01", "h02"], "20270115080000000000", "no")
    assert [found.do(), found.do()] == ["gate", "quarantine"]
    found.add("pause", by="anna", number=1)
    assert show.state(found.found, False) == "stopping, paused by anna"
    assert show.state(found.add("abort", by="otto", number=2).found, True) == "stopping"


def test_many_hosts_are_not_all_shown():
    names = [f"h{number:02}" for number in range(50)]
    found = Book(names, waves=[{"name": "all"}], batch=50).begin().start(names, "1")
    assert status(found).count("runs since") == show.ROWS
    found.end(names[:30], "1", "no")
    assert status(found).count(": failed: no") == show.ROWS
    assert "  and 10 more; all of them: salt-run --out=json klp.report" in status(found)


def test_a_watched_wave_is_said_to_be():
    found = (
        book().end(["h01", "h02"], "20270115080000000000").start(["h03"], "2").end(["h03"], "2").add("patched", wave=1)
    )
    assert status(found).splitlines()[4].endswith("0  watched")


def report(found, **more):
    hosts = {
        host: {
            "wave": found.found.waves[item.wave].name,
            "stage": item.stage,
            "why": item.why,
            "runs": item.attempt,
            "back": item.back,
        }
        for host, item in found.found.hosts.items()
    }
    document = {"hosts": hosts, "left_out": {"h09": ["unreachable", "no answer within 30 seconds"]}, **more}
    return show.report_text(found.found, document, [{"at": START + 200}])


def test_a_report():
    found = book(on_failure="rollback")
    found.now += 100
    found.end(["h01", "h02"], "20270115080000000000", "zypper: exit 4")
    assert [found.do(), found.do()] == ["gate", "quarantine"]
    found.add("stays", hosts={"h01": None, "h02": "it does not answer"})
    assert found.do() == "end"
    assert (
        report(found)
        == text("""
        Campaign 0123456789ab (patch): stopped at 2027-01-15 08:01:40 UTC
          wave rest: 2 of 3 hosts failed, limit 0
          begun 2027-01-15 08:00:00 UTC, 100 s until its end

        wave    hosts  verified  failed  unreachable  not started  patched in
        canary      1         1       0            0            0  0 s
        rest        3         0       2            0            1

        not verified, or gone back:
        host  wave  stage    runs  back   why
        h01   rest  failed      1  stays  zypper: exit 4
        h02   rest  failed      1  stays  zypper: exit 4; going back: it does not answer
        h03   rest  waiting     0

        left out, unreachable: 1
          h09: no answer within 30 seconds

        rollback: 2 stays

        in quarantine: kernel-livepatch-5_14_21-150500_55_7-default 3-150500.2.1; release it with:
          salt-run klp.release kernel-livepatch-5_14_21-150500_55_7-default 3-150500.2.1
    """)
        + "\n"
    )


def test_a_report_of_what_is_not_over():
    assert "begun 2027-01-15 08:00:00 UTC, 3 min until now" in report(book())
    names = [f"h{number:02}" for number in range(50)]
    found = Book(names, waves=[{"name": "all"}], batch=50).begin().start(names, "1").end(names, "1", "no")
    assert "\nand 30 more, all of them with --out=json\n" in report(found)


def test_a_report_of_what_has_not_begun():
    found = Book("ab", waves=[{"name": "all"}])
    assert "not begun\n  begun 2027-01-15 08:00:00 UTC, 0 s until now" in show.report_text(
        found.found, {"hosts": {}, "left_out": {}}, []
    )


SAID = text("""
        the campaign begins
        wave canary: its turn
        h00: ready
        wave canary: started h00, job 20270101000000000000
        h00: verified
        wave canary: all its hosts have ended
        wave canary, a look at all of its hosts: all is well
        wave canary: passed
        wave rest: its turn
        h05: no answer, left out
          h05: it did not answer when it was its turn
        h01, h02, h03, h04, h06, h07: ready
        wave rest: started h01, h02, h03, h04, h06, h07, job 20270101000000000001
        h06: the run could not begin, it is tried again
          h06: The function "state.apply" is running as PID 1 and was started before
        h01, h02, h04, h07: verified
        h06: ready
        wave rest: started h06, job 20270101000000000002
        wave rest, a look at h01, h02, h04, h07: all is well
        h06: verified
        wave rest, a look at h06: all is well
        h03: the run was cut off, it is begun again
        h03: ready
        wave rest: started h03, job 20270101000000000003
        h03: verified
        wave rest: all its hosts have ended
        wave rest, a look at all of its hosts: all is well
        wave rest: passed
        once more those that did not answer: h05
        wave late: its turn
        h05: ready
        wave late: started h05, job 20270101000000000004
        h05: verified
        wave late: all its hosts have ended
        wave late, a look at all of its hosts: all is well
        wave late: passed
        a last look at all hosts: all is well
        the end: done
    """)


def test_what_is_said_while_a_campaign_runs(tmp_path):
    there = world(8, h03={"dies": 2}, h05={"absent": 1000.0}, h06={"conflicts": 1})
    made = campaign.plan(
        there, waves=WAVES, soak={"minutes": [1]}, batch=7, limits={"unreachable": 1}, presence={"late": 3600}
    )
    lines: list = []
    campaign.go(campaign.saved(tmp_path, made), made["id"], there, lambda entry: lines.extend(show.line(made, entry)))
    assert "\n".join(lines) == SAID


def test_lists_of_campaigns():
    rows = [
        {
            "id": "0123456789ab",
            "kind": "patch",
            "state": "done",
            "hosts": 5,
            "verified": 5,
            "failed": 0,
            "unreachable": 0,
            "created": START,
        }
    ]
    held = [
        {"package": "p", "edition": "1-1", "campaign": "0123456789ab", "why": "wave a: 1 of 1 host failed, limit 0"}
    ]
    assert show.list_text(rows, held, {}) == text("""
        id            kind   state  hosts  verified  failed  unreachable  made
        0123456789ab  patch  done       5         5       0            0  2027-01-15 08:00:00 UTC

        in quarantine:
          p 1-1, since campaign 0123456789ab (wave a: 1 of 1 host failed, limit 0)
    """)
    assert show.list_text([], [], {}) == "no plans yet; make one with: salt-run klp.plan"


def test_verdicts():
    found = {"h1": {"verdict": "ok", "why": None}, "h2": {"verdict": "failed", "why": "kernel: too old"}}
    assert show.audit_text(found) == text("""
        verdict  hosts
        failed       1
        ok           1

        host  verdict  why
        h2    failed   kernel: too old
    """)
    many = {f"h{number}": {"verdict": "unknown", "why": None} for number in range(23)}
    assert show.audit_text(many).endswith("\nand 3 more, all of them with --out=json")
    assert show.audit_text({}) == "verdict  hosts"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "0 s"), (119, "119 s"), (120, "2 min"), (7199, "120 min"), (7200, "2.0 h"), (10**6, "277.8 h")],
)
def test_spans(seconds, said):
    assert show.span(seconds) == said
