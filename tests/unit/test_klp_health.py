"""Pillar klp:health on a host: what is asked, when it is asked, and what is said of it."""

from unittest.mock import create_autospec

import pytest
import salt.utils.systemd
from salt.exceptions import CommandExecutionError, SaltInvocationError

import klp_cmd
import klp_health
import klp_runs
from tests.unit.conftest import LP
from tests.unit.hosts import FIRST, ONE, becomes, has, remembers

SECRET = "token-7f3a"
SHOP = {"name": "shop", "run": ["curl", "-H", SECRET, "http://localhost/health"], "timeout": 5}
DISK = {"run": ["/usr/lib/shop/disk-check"]}
BEFORE = (
    "not healthy before: {}; make the application well first, or patch this host all the same with pillar "
    "klp:health:before: ignore"
)


class Application:
    """What the administrator's programs and systemd say; of a list one after the other, and the last one stays."""

    def __init__(self):
        self.says: dict = {}
        self.units: dict = {}
        self.asked: list = []

    def _next(self, answers):
        return answers.pop(0) if isinstance(answers, list) and len(answers) > 1 else answers

    def bounded(self, argv, timeout, longest=klp_cmd.LONGEST):
        self.asked.append((argv, timeout, longest))
        said = self._next(self.says.get(argv[0], (0, "")))
        said = said[0] if isinstance(said, list) else said
        if isinstance(said, Exception):
            raise said
        return {"retcode": said[0], "stdout": said[1]}

    def status(self, name):
        said = self._next(self.units.get(name, True))
        return said[0] if isinstance(said, list) else said


@pytest.fixture
def app(minion, monkeypatch):
    """A host with an application that is well."""
    found = Application()
    monkeypatch.setattr(klp_cmd, "bounded", create_autospec(klp_cmd.bounded, side_effect=found.bounded))
    monkeypatch.setattr(salt.utils.systemd, "booted", lambda *args: True)
    minion.salt["service.status"] = found.status
    minion.pillar["klp"] = {"health": {"commands": [SHOP, DISK], "services": ["nginx"]}}
    return found


def details(found):
    return [(item["verdict"], item["detail"]) for item in found]


def test_an_application_that_is_well(minion, app):
    assert details(klp_health.application(minion.host)) == [
        ("ok", "command shop: exit 0"),
        ("ok", "command disk-check: exit 0"),
        ("ok", "service nginx runs"),
    ]
    assert [(argv[0], timeout) for argv, timeout, _ in app.asked] == [("curl", 5), (DISK["run"][0], 30)]
    assert klp_health.ill(minion.host) == []
    (check,) = klp_health.checks(minion.host)
    assert check == {
        "check": "health",
        "verdict": "ok",
        "detail": "command shop: exit 0; command disk-check: exit 0; service nginx runs",
    }


@pytest.mark.parametrize(
    ("said", "verdict", "detail"),
    [
        ((1, "no route\n"), "failed", "command shop: exit 1: no route"),
        ((7, " \n"), "failed", "command shop: exit 7: no output"),
        ((-11, ""), "failed", "command shop: was killed by signal 11: no output"),
        ((1, "\x1b[31mred\x1b[0m\r\nno\n"), "failed", "command shop: exit 1: [31mred [0m no"),
        ((1, "x" * 500 + "end"), "failed", "command shop: exit 1: ..." + "x" * 194 + "end"),
        (klp_cmd.CutOff("no end within 5 seconds"), "failed", "command shop: no end within 5 seconds"),
        (
            CommandExecutionError("not found, or not executable"),
            "unknown",
            "command shop: not found, or not executable",
        ),
    ],
)
def test_a_command_that_fails_says_what_it_printed(minion, app, said, verdict, detail):
    app.says["curl"] = said
    assert details(klp_health.application(minion.host))[0] == (verdict, detail)
    (check,) = klp_health.checks(minion.host)
    assert (check["verdict"], check["detail"]) == (verdict, detail)
    assert klp_health.ill(minion.host) == [detail] and SECRET not in detail


@pytest.mark.parametrize(
    ("state", "said"),
    [(False, "service nginx does not run"), ({"nginx": True}, "service nginx: its state is not known")],
)
def test_a_service_that_does_not_run_is_not_well(minion, app, state, said):
    app.units["nginx"] = state
    assert klp_health.ill(minion.host) == [said]


def test_what_is_not_well_at_once_is_asked_again_for_a_while(minion, app):
    """Services that were restarted need their time; what was well is not asked again."""
    app.says["curl"], app.units["nginx"] = [(7, "refused"), (7, "refused"), (0, "")], [False, True]
    begun = minion.clock.now
    (check,) = klp_health.checks(minion.host, 60)
    assert (check["verdict"], minion.clock.now - begun) == ("ok", 10)
    assert [argv[0] for argv, _, _ in app.asked] == ["curl", DISK["run"][0], "curl", "curl"]


def test_nobody_waits_for_ever_for_what_stays_ill(minion, app):
    app.says["curl"], begun = (7, "refused"), minion.clock.now
    (check,) = klp_health.checks(minion.host, 60)
    assert (check["detail"], minion.clock.now - begun) == ("command shop: exit 7: refused", 60)
    assert klp_health.checks(minion.host)[0]["verdict"] == "failed" and minion.clock.now - begun == 60


def test_a_host_that_declares_nothing_has_no_such_check(minion, app):
    minion.pillar["klp"] = {}
    assert (klp_health.checks(minion.host), klp_health.ill(minion.host)) == ([], [])
    assert klp_health.before(minion.host) == [] and app.asked == []


def test_a_campaign_hears_what_is_not_well_and_how_long_it_may_take(minion, app):
    app.says["curl"] = (1, "no route")
    found = minion.salt["klp_audit.health"]()
    assert (found["application"], found["patience"]) == (["command shop: exit 1: no route"], 35)
    found = minion.salt["klp_audit.health"](application=False)
    assert (found["application"], found["patience"], len(app.asked)) == (None, 35, 2)


def test_a_wrong_pillar_is_told_and_not_guessed_around(minion, app):
    minion.pillar["klp"] = {"health": {"commands": "true"}}
    found = minion.salt["klp_audit.health"]()
    said = "pillar klp:health:commands: wanted a list of commands, found a string"
    assert (found["application"], found["patience"]) == ([said], 0)


@pytest.mark.parametrize("application", [None, "yes", 1])
def test_what_is_neither_true_nor_false_is_refused(minion, app, application):
    with pytest.raises(SaltInvocationError, match=f"application: wanted true or false, found {application!r}"):
        minion.salt["klp_audit.health"](application=application)


# -- before a run ------------------------------------------------------------------------------------------------------


def test_a_host_that_is_ill_is_refused_before_the_first_change(minion, app):
    app.says["curl"], app.units["nginx"] = (1, "no route"), False
    said = "command shop: exit 1: no route; service nginx does not run"
    assert klp_health.before(minion.host) == [BEFORE.format(said)]


def test_a_run_asks_once(minion, app):
    host = minion.host
    assert klp_health.before(host) == [] and klp_health.before(host) == []
    assert len(app.asked) == 2


def test_where_nothing_changes_nobody_has_to_be_well(minion, app):
    app.says["curl"] = (1, "")
    assert klp_health.before(minion.host, lambda: True) == [] and app.asked == []


def test_an_ill_host_is_patched_all_the_same_if_its_pillar_says_so(minion, app):
    app.says["curl"] = (1, "")
    minion.pillar["klp"]["health"]["before"] = "ignore"
    assert klp_health.before(minion.host) == [] and app.asked == []


def run(opened, finished=None, **more):
    return {
        "run": "c1",
        "opened": opened,
        "finished": finished,
        "backend": "none",
        "backup": None,
        **more,
        "created": 0,
    }


@pytest.mark.parametrize(
    ("age", "finished", "more", "goes_on"),
    [
        (60, None, {}, True),
        (60, None, {"judged": False}, True),
        (60, None, {"judged": True}, False),  # it came to its verification: that is where it failed
        (60, 5, {}, False),
        (25 * 3600, None, {}, False),  # given up, as its backup is
    ],
)
def test_a_run_that_was_cut_off_goes_on_though_the_application_is_ill(minion, app, age, finished, more, goes_on):
    """It may be ill because its packages are half new; going on is the cure."""
    app.says["curl"] = (1, "")
    remembers(minion, "runs", [run(int(minion.clock.now) - age, finished, **more)])
    assert bool(klp_health.before(minion.host)) is not goes_on


def test_a_package_that_was_begun_is_finished_though_the_application_is_ill(minion, app):
    app.says["curl"] = (1, "")
    has(minion, ONE)
    minion.live_patch(FIRST)
    becomes(FIRST)
    remembers(minion, "begun", {LP: ONE})
    assert klp_health.before(minion.host) == []


@pytest.mark.parametrize("stage", ["before", "changing", "after"])
@pytest.mark.parametrize(("age", "goes_on"), [(60, True), (25 * 3600, False)])
def test_a_run_that_was_cut_off_between_its_hooks_goes_on(minion, app, stage, age, goes_on):
    """It has asked before it drained the host, and a host that is drained cannot be well."""
    app.says["curl"] = (1, "")
    since = int(minion.clock.now) - age
    due = {"around": "klp.patch", "run": None, "since": since, "stage": stage, "after": ["site.undrain"]}
    remembers(minion, "hooks", due)
    assert bool(klp_health.before(minion.host)) is not goes_on


def test_a_run_remembers_whether_it_came_to_its_verification(minion):
    klp_runs.judge(minion.host, True)  # no run, nothing to remember
    remembers(minion, "runs", [run(1)])
    for judged in (True, True, False):
        klp_runs.judge(minion.host, judged)
        assert klp_runs.runs()[0]["judged"] is judged
