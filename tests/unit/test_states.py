"""The states: predicted, applied, applied again; errors become their comment."""

import pytest
from salt.exceptions import CommandExecutionError, SaltInvocationError

from tests.unit.conftest import LP

FIRST, THIRD = "livepatch_1_150500_9_3_1", "livepatch_3_150500_2_1"
ONE, THREE = "1-150500.9.3.1", "3-150500.2.1"


class Functions:
    """Stand-ins for execution functions, which act on a few values and count their calls."""

    def __init__(self, minion):
        self.minion, self.calls = minion, []

    def set(self, **functions):
        """Replace functions, ``klp__package=...`` for ``klp.package``."""
        for name, function in functions.items():
            self.minion.salt[name.replace("__", ".")] = self.counted(name.replace("__", "."), function)

    def counted(self, name, function):
        assert name in self.minion.salt, f"{name} does not exist"

        def call(*args, **kwargs):
            self.calls.append(name)
            return function(*args, **kwargs)

        return call


@pytest.fixture
def functions(minion):
    """Replaces execution functions."""
    return Functions(minion)


def apply(minion, state, *args, test=False, **kwargs):
    """Call a state function in test mode or not."""
    minion.opts["test"] = test
    folder, name = state.split(".")
    return getattr(minion.states[folder], name)("id", *args, **kwargs)


def raising(error):
    def function(*args, **kwargs):
        raise error

    return function


def test_a_host_is_ready_if_nothing_speaks_against_it(minion, functions):
    functions.set(klp__obstacles=lambda refresh: [] if refresh else ["not refreshed"])
    ret = apply(minion, "klp.ready", refresh=True)
    assert ret == {
        "name": "id",
        "result": True,
        "changes": {},
        "comment": "Nothing speaks against live patching this host",
    }


@pytest.mark.parametrize("test", [True, False])
@pytest.mark.parametrize(
    ("obstacles", "comment"),
    [
        (lambda refresh: ["one", "two"], "one\ntwo"),
        (raising(CommandExecutionError("no repositories")), "no repositories"),
        (raising(SaltInvocationError("pillar klp: wrong")), "pillar klp: wrong"),
    ],
)
def test_what_speaks_against_a_host_is_told_in_test_mode_too(minion, functions, obstacles, comment, test):
    functions.set(klp__obstacles=obstacles)
    ret = apply(minion, "klp.ready", test=test)
    assert (ret["result"], ret["changes"], ret["comment"]) == (False, {}, comment)


@pytest.mark.parametrize("test", [True, False])
@pytest.mark.parametrize(
    ("refresh", "function"), [(False, "klp.late"), (True, "klp.unshown")], ids=["late", "not shown"]
)
def test_what_a_campaign_does_not_allow_is_refused(minion, functions, refresh, function, test):
    functions.set(klp__obstacles=lambda refresh: [], klp__late=lambda: ["too late"], klp__unshown=lambda: ["unshown"])
    ret = apply(minion, "klp.ready", refresh=refresh, test=test)
    assert (ret["result"], ret["changes"]) == (False, {})
    assert ret["comment"] == {"klp.late": "too late", "klp.unshown": "unshown"}[function]
    assert functions.calls == ["klp.obstacles", function]


@pytest.mark.parametrize("refresh", [True, False])
def test_what_speaks_against_a_host_is_told_line_by_line_whatever_a_campaign_says(minion, functions, refresh):
    """With a wrong pillar the campaign's part of it cannot be read either: all that is wrong is told all the same."""
    minion.pillar["klp"] = {"levle": 1, "campaign": {"start_by": "soon"}}
    comment = apply(minion, "klp.ready", refresh=refresh)["comment"]
    assert [line.split(": ")[0] for line in comment.split("\n")] == ["pillar klp:levle", "pillar klp:campaign:start_by"]
    functions.set(klp__obstacles=lambda refresh: ["one"], klp__late=lambda: ["late"], klp__unshown=lambda: ["unshown"])
    assert apply(minion, "klp.ready", refresh=refresh)["comment"] == "one"


@pytest.mark.parametrize("refresh", [True, False])
def test_pending_packages_that_cannot_be_told_are_no_go_ahead(minion, functions, refresh):
    error = CommandExecutionError("refused, because it would install kernel-default")
    functions.set(klp__obstacles=lambda refresh: [], klp__late=raising(error), klp__unshown=raising(error))
    ret = apply(minion, "klp.ready", refresh=refresh)
    assert (ret["result"], ret["comment"]) == (False, str(error))


@pytest.fixture
def bare(minion, functions):
    """A host that ``klp.enable`` makes live patched."""
    host: dict = {"tools": ["kernel-livepatch-tools"], "edition": None}

    def enable(level):
        host.update(tools=[], edition=THREE)
        return {"changed": {}, "notes": ["product activated"]}

    functions.set(
        klp__tools_missing=lambda: host["tools"],
        klp__package=lambda: {"name": LP, "edition": host["edition"], "level": None, "unfinished": False},
        klp__goal=lambda level, search=False: {"live patch": THREE, "module": THIRD},
        klp__enable=enable,
    )
    return host


ENABLED = {
    "missing tools": {"old": ["kernel-livepatch-tools"], "new": []},
    LP: {"old": None, "new": THREE},
}


def test_a_host_is_enabled_once(minion, functions, bare):
    minion.live_patch(THIRD)
    ret = apply(minion, "klp.enabled", test=True)
    assert (ret["result"], ret["changes"], "klp.enable" in functions.calls) == (None, ENABLED, False)
    ret = apply(minion, "klp.enabled")
    assert (ret["result"], ret["changes"]) == (True, ENABLED)
    assert ret["comment"].startswith("Changed") and ret["comment"].endswith("\nproduct activated")
    ret = apply(minion, "klp.enabled")
    assert (ret["result"], ret["changes"], functions.calls.count("klp.enable")) == (True, {}, 1)


def test_any_edition_will_do_for_an_enabled_host(minion, functions, bare):
    minion.live_patch(FIRST)
    bare.update(tools=[], edition=ONE)
    ret = apply(minion, "klp.enabled", level=3)
    assert (ret["result"], ret["changes"]) == (True, {}) and "klp.goal" not in functions.calls


def test_an_enable_that_does_not_help_is_false(minion, functions, bare):
    functions.set(klp__enable=lambda level: {"changed": {}, "notes": []})
    ret = apply(minion, "klp.enabled")
    assert ret["result"] is False and ret["changes"] == {} and "kernel-livepatch-tools" in ret["comment"]


@pytest.fixture
def old(minion, functions):
    """A host whose live patch ``klp.install`` replaces."""
    host = {"edition": ONE}
    minion.live_patch(FIRST)

    def install(level):
        host.update(edition=THREE)
        (minion.root / "sysfs" / FIRST).rename(minion.root / "sysfs" / THIRD)
        return {"changed": {}, "notes": ["a note"]}

    functions.set(
        klp__package=lambda: {"name": LP, "edition": host["edition"], "level": None, "unfinished": False},
        klp__goal=lambda level, search=False: {"live patch": THREE, "module": THIRD},
        klp__install=install,
    )
    return host


PATCHED = {"live patch": {"old": ONE, "new": THREE}, "module": {"old": FIRST, "new": THIRD}}


def test_a_live_patch_is_brought_in_once(minion, functions, old):
    ret = apply(minion, "klp.patched", level=3, test=True)
    assert (ret["result"], ret["changes"], "klp.install" in functions.calls) == (None, PATCHED, False)
    ret = apply(minion, "klp.patched", level=3)
    assert (ret["result"], ret["changes"]) == (True, PATCHED) and ret["comment"].endswith("\na note")
    assert apply(minion, "klp.patched", level=3)["changes"] == {}
    assert functions.calls.count("klp.install") == 1


def test_an_unfinished_installation_is_mended_once(minion, functions, old):
    package = {"name": LP, "edition": ONE, "level": 1, "unfinished": True}
    goal = {"live patch": ONE, "module": FIRST}
    functions.set(klp__package=lambda: package, klp__goal=lambda level, search=False: goal)
    functions.set(klp__install=lambda level: package.update(unfinished=False) or {"changed": {}, "notes": []})
    changes = {"unfinished": {"old": True, "new": None}}
    assert apply(minion, "klp.patched", test=True)["changes"] == changes
    assert apply(minion, "klp.patched")["changes"] == changes
    assert apply(minion, "klp.patched")["changes"] == {}
    assert functions.calls.count("klp.install") == 1


def test_an_error_of_the_install_reports_what_changed(minion, functions, old):
    install = minion.salt["klp.install"]

    def breaks(level):
        install(level)
        raise CommandExecutionError("post script failed")

    functions.set(klp__install=breaks)
    ret = apply(minion, "klp.patched", level=3)
    assert (ret["result"], ret["changes"], ret["comment"]) == (False, PATCHED, "post script failed")


def test_a_transition_is_waited_for(minion, functions):
    minion.live_patch(FIRST, transition=1)
    seen = []

    def wait(timeout):
        seen.append(timeout)
        minion.live_patch(FIRST)

    functions.set(klp__wait=wait)
    changes = {"transition": {"old": "in_progress", "new": "ready"}}
    assert apply(minion, "klp.settled", 60, test=True)["changes"] == changes and seen == []
    ret = apply(minion, "klp.settled", 60)
    assert (ret["result"], ret["changes"], seen) == (True, changes, [60])
    assert apply(minion, "klp.settled")["changes"] == {} and seen == [60]


def test_a_transition_that_does_not_end_is_false(minion, functions):
    minion.live_patch(FIRST, transition=1)
    functions.set(klp__wait=raising(CommandExecutionError("held up by: process 7")))
    ret = apply(minion, "klp.settled")
    assert (ret["result"], ret["changes"], ret["comment"]) == (False, {}, "held up by: process 7")


CHECKS = [
    {"check": "reboot", "verdict": "reboot_needed", "detail": "flag"},
    {"check": "a", "verdict": "ok", "detail": ""},
]


@pytest.mark.parametrize(
    ("verdict", "result", "result_of_test"),
    [
        ("ok", True, True),
        ("reboot_needed", True, True),
        ("failed", False, None),
        ("blocked", False, None),
        ("unknown", False, None),
        ("unsupported", False, None),
    ],
)
def test_a_verification_is_judged_by_its_verdict(minion, functions, verdict, result, result_of_test):
    found = {"verdict": verdict, "kernel": "6.4", "live_patch": None, "cves": [], "checks": CHECKS}
    functions.set(klp__verify=lambda: found)
    ret = apply(minion, "klp.verified")
    assert (ret["result"], ret["changes"]) == (result, {})
    assert ret["comment"] == f"{verdict}: 6.4 with live patch none\nreboot: reboot_needed: flag"
    assert apply(minion, "klp.verified", test=True)["result"] is result_of_test


def test_a_verification_that_cannot_be_done_is_unknown(minion, functions):
    functions.set(klp__verify=raising(CommandExecutionError("no sysfs")))
    ret = apply(minion, "klp.verified")
    assert (ret["result"], ret["comment"]) == (False, "unknown: no sysfs")


def locks_are_written(minion, functions):
    functions.set(zypper__add_locks=lambda names: minion.locked(*names))


def test_packages_are_locked_once(minion, functions):
    locks_are_written(minion, functions)
    minion.locked("b")
    changes = {"locked": {"old": ["b"], "new": ["a", "b"]}}
    ret = apply(minion, "zypper.locked", ["b", "a"], test=True)
    assert (ret["result"], ret["changes"], functions.calls) == (None, changes, [])
    assert apply(minion, "zypper.locked", ["b", "a"])["changes"] == changes
    ret = apply(minion, "zypper.locked", ["b", "a"])
    assert (ret["result"], ret["changes"], functions.calls) == (True, {}, ["zypper.add_locks"])


def test_a_lock_of_one_version_does_not_count(minion, functions):
    functions.set(zypper__add_locks=lambda names: None)
    minion.write("locks", "type: package\nmatch_type: glob\nsolvable_name: a\nversion: > 1\n")
    ret = apply(minion, "zypper.locked", ["a"])
    assert (ret["result"], ret["comment"]) == (False, "Not locked in every version: a")


@pytest.mark.parametrize("packages", ["kernel-default", [], ["kernel-*"]])
def test_packages_that_are_no_list_of_names_are_refused(minion, packages):
    ret = apply(minion, "zypper.locked", packages)
    assert ret["result"] is False and ("wanted a list" in ret["comment"] or "not a package name" in ret["comment"])


def test_own_locks_are_removed_once(minion, functions):
    minion.locked("a")
    minion.utils["klp_record.write"]("locks", ["a"])
    functions.set(zypper__remove_locks=lambda names: minion.locked())
    changes = {"locked": {"old": ["a"], "new": []}}
    assert apply(minion, "zypper.unlocked", ["a", "b"], test=True)["changes"] == changes
    assert apply(minion, "zypper.unlocked", ["a", "b"])["changes"] == changes
    assert apply(minion, "zypper.unlocked", ["a", "b"])["changes"] == {}
    assert functions.calls == ["zypper.remove_locks"]


SKIPPED = [{"item": "A-1", "kind": "advisory", "reason": "needs a kernel"}]


@pytest.fixture
def pending(functions):
    """A host with one pending update and one advisory that is left out."""
    host = {"curl": "1-1", "vim": "1-1"}

    def update(settings):
        host["curl"] = "2-1"
        return {"changed": {}, "skipped": SKIPPED, "notes": ["a scriptlet failed"]}

    def plan(settings):
        packages = {} if host["curl"] == "2-1" else {"curl": {"old": "1-1", "new": "2-1"}}
        return {"packages": packages, "skipped": SKIPPED}

    functions.set(zypper__packages=lambda: dict(host), zypper__pending=plan, zypper__update=update)
    return host


def test_updates_are_installed_once_and_what_is_left_out_is_told(minion, functions, pending):
    changes, skipped = {"curl": {"old": "1-1", "new": "2-1"}}, "Skipped advisory A-1: needs a kernel"
    ret = apply(minion, "zypper.updated", test=True)
    assert (ret["result"], ret["changes"], ret["comment"]) == (None, changes, f"Would change\n{skipped}")
    assert "zypper.update" not in functions.calls
    ret = apply(minion, "zypper.updated")
    assert (ret["result"], ret["changes"]) == (True, changes)
    assert ret["comment"].endswith(f"\na scriptlet failed\n{skipped}")
    ret = apply(minion, "zypper.updated")
    assert (ret["result"], ret["changes"], functions.calls.count("zypper.update")) == (True, {}, 1)
    assert ret["comment"].endswith(skipped)


def test_an_update_that_breaks_reports_what_was_installed(minion, functions, pending):
    update = minion.salt["zypper.update"]

    def breaks(settings):
        update(settings)
        raise CommandExecutionError("exit 8")

    functions.set(zypper__update=breaks)
    ret = apply(minion, "zypper.updated")
    assert (ret["result"], ret["comment"], list(ret["changes"])) == (False, "exit 8", ["curl"])


@pytest.mark.parametrize(("test", "result"), [(True, None), (False, False)])
def test_nothing_is_updated_without_the_locks_that_are_named(minion, functions, pending, test, result):
    minion.locked("a")
    ret = apply(minion, "zypper.updated", locked=["a", "b"], test=test)
    assert (ret["result"], ret["changes"]) == (result, {}) and ret["comment"].endswith("locked: b")
    assert functions.calls == []
    minion.locked("a", "b")
    assert apply(minion, "zypper.updated", locked=["a", "b"])["result"] is True
