"""The states klp.enabled and klp.patched: predicted, applied, applied again; errors become their comment."""

import pytest
from salt.exceptions import CommandExecutionError

from tests.unit.conftest import LP
from tests.unit.hosts import FIRST, ONE, THIRD, THREE, TWO, becomes, shows
from tests.unit.states import apply, functions

__all__ = ["functions"]


@pytest.fixture
def bare(minion, functions):
    """A host that ``klp_enable.enable_goal`` makes live patched."""
    host: dict = {"tools": ["kernel-livepatch-tools"], "edition": None, "unfinished": {}}
    host["goal"] = {"edition": THREE, "module": THIRD, "product": None}

    def enable(_, level, wanted):
        host.update(tools=[], edition=wanted["edition"] or TWO, unfinished={})
        return {"changed": {}, "notes": ["product activated"]}

    def package(_):
        return {"name": LP, "edition": host["edition"], "level": None, "unfinished": False}

    functions.set(
        klp_live__missing_tools=lambda _: host["tools"],
        klp_live__package=package,
        klp_enable__goal=lambda _, level, search=False: host["goal"],
        klp_enable__unfinished_tools=lambda _: host["unfinished"],
        klp_enable__enable_goal=enable,
    )
    return host


ENABLED = {
    "missing tools": {"old": ["kernel-livepatch-tools"], "new": []},
    LP: {"old": None, "new": THREE},
}


def test_a_host_is_enabled_once(minion, functions, bare):
    minion.live_patch(THIRD)
    ret = apply(minion, "klp.enabled", test=True)
    assert (ret["result"], ret["changes"], "klp_enable.enable_goal" in functions.calls) == (None, ENABLED, False)
    ret = apply(minion, "klp.enabled")
    assert (ret["result"], ret["changes"]) == (True, ENABLED)
    assert ret["comment"].startswith("Changed") and ret["comment"].endswith("\nproduct activated")
    ret = apply(minion, "klp.enabled")
    assert (ret["result"], ret["changes"], functions.calls.count("klp_enable.enable_goal")) == (True, {}, 1)


def test_a_host_is_enabled_with_the_edition_that_was_resolved(minion, functions, bare):
    """Predicted and done from one resolution: the repositories may have a newer one a moment later."""
    apply(minion, "klp.enabled")
    assert functions.calls.count("klp_enable.goal") == 1
    assert functions.given[functions.calls.index("klp_enable.enable_goal")] == ("latest", bare["goal"])


def test_a_product_that_has_to_be_activated_first_leaves_the_edition_open(minion, functions, bare):
    """No sentence stands where an edition is expected: who reads the changes may compare it."""
    bare["goal"] = {"edition": None, "module": None, "product": "sle-module-live-patching/15.5/x86_64"}
    ret = apply(minion, "klp.enabled", level=3, test=True)
    assert ret["changes"][LP] == {"old": None, "new": {"level": 3, "product": bare["goal"]["product"]}}
    said = "Product sle-module-live-patching/15.5/x86_64 is activated first; which live patch that brings is known then"
    assert (ret["result"], ret["comment"]) == (None, f"Would change\n{said}")
    ret = apply(minion, "klp.enabled", level=3)
    assert (ret["result"], ret["changes"][LP]) == (True, {"old": None, "new": TWO}) and said not in ret["comment"]


def test_any_edition_will_do_for_an_enabled_host(minion, functions, bare):
    minion.live_patch(FIRST)
    bare.update(tools=[], edition=ONE)
    ret = apply(minion, "klp.enabled", level=3)
    assert (ret["result"], ret["changes"]) == (True, {}) and "klp_enable.goal" not in functions.calls


def test_tools_that_were_cut_off_are_mended_once(minion, functions, bare):
    bare.update(tools=[], edition=ONE, unfinished={"kernel-livepatch-tools": "1.4-1"})
    changes = {"unfinished": {"old": {"kernel-livepatch-tools": "1.4-1"}, "new": None}}
    assert apply(minion, "klp.enabled", test=True)["changes"] == changes
    functions.set(klp_enable__enable_goal=lambda *args: bare.update(unfinished={}) or {"changed": {}, "notes": []})
    ret = apply(minion, "klp.enabled")
    assert (ret["result"], ret["changes"]) == (True, changes)
    assert apply(minion, "klp.enabled")["changes"] == {}


def test_an_enable_that_does_not_help_is_false(minion, functions, bare):
    functions.set(klp_enable__enable_goal=lambda _, level, wanted: {"changed": {}, "notes": []})
    ret = apply(minion, "klp.enabled")
    assert ret["result"] is False and ret["changes"] == {} and "kernel-livepatch-tools" in ret["comment"]


@pytest.fixture
def old(minion, functions):
    """A host whose live patch ``klp_install.install_edition`` replaces."""
    host = {"edition": ONE}
    minion.live_patch(FIRST)

    def install(_, edition, check=None):
        host.update(edition=edition)
        becomes(THIRD)
        return {"changed": {}, "notes": ["a note"]}

    functions.set(
        klp_live__package=lambda _: {"name": LP, "edition": host["edition"], "level": None, "unfinished": False},
        klp_enable__goal=lambda _, level, search=False: {"edition": THREE, "module": THIRD, "product": None},
        klp_install__install_edition=install,
    )
    return host


PATCHED = {"live patch": {"old": ONE, "new": THREE}, "module": {"old": FIRST, "new": THIRD}}


def test_a_live_patch_is_brought_in_once(minion, functions, old):
    ret = apply(minion, "klp.patched", level=3, test=True)
    assert (ret["result"], ret["changes"], "klp_install.install_edition" in functions.calls) == (None, PATCHED, False)
    ret = apply(minion, "klp.patched", level=3)
    assert (ret["result"], ret["changes"]) == (True, PATCHED) and ret["comment"].endswith("\na note")
    assert apply(minion, "klp.patched", level=3)["changes"] == {}
    assert functions.calls.count("klp_install.install_edition") == 1


def test_an_unfinished_installation_is_mended_once(minion, functions, old):
    package = {"name": LP, "edition": ONE, "level": 1, "unfinished": True}
    goal = {"edition": ONE, "module": FIRST, "product": None}

    def install(_, edition, check=None):
        package.update(unfinished=False)
        return {"changed": {}, "notes": []}

    functions.set(klp_live__package=lambda _: package, klp_enable__goal=lambda _, level, search=False: goal)
    functions.set(klp_install__install_edition=install)
    changes = {"unfinished": {"old": True, "new": None}}
    assert apply(minion, "klp.patched", test=True)["changes"] == changes
    assert apply(minion, "klp.patched")["changes"] == changes
    assert apply(minion, "klp.patched")["changes"] == {}
    assert functions.calls.count("klp_install.install_edition") == 1


def test_the_edition_that_was_predicted_is_installed(minion, functions, old):
    """It is resolved once: what a repository has a moment later is of the next run."""
    newest = iter([THREE, "4-150500.2.1"])
    functions.set(klp_enable__goal=lambda *args: {"edition": next(newest), "module": THIRD, "product": None})
    assert apply(minion, "klp.patched")["changes"] == PATCHED
    assert functions.given[functions.calls.index("klp_install.install_edition")] == (THREE,)


def test_a_live_patch_is_not_looked_for_before_its_product_is_activated(minion, functions, old):
    old["edition"] = None
    product = {"edition": None, "module": None, "product": "sle-module-live-patching/15.5/x86_64"}
    functions.set(klp_enable__goal=lambda _, level, search=False: product)
    ret = apply(minion, "klp.patched", test=True)
    assert ret["changes"]["live patch"] == {"old": None, "new": {"level": "latest", "product": product["product"]}}
    assert (ret["result"], ret["comment"].splitlines()[1:]) == (
        None,
        [f"Known once product {product['product']} is activated, which klp.enabled does"],
    )
    ret = apply(minion, "klp.patched")
    assert (ret["result"], ret["changes"]) == (False, {})
    assert ret["comment"] == (
        f"product {product['product']} is not activated: klp.enabled does that, run state.apply klp"
    )
    assert "klp_install.install_edition" not in functions.calls


def test_a_live_patch_brings_only_what_a_campaign_has_shown(minion, functions, old):
    shows(minion, {LP: THREE})

    def install(_, edition, check=None):
        check({LP: THREE})
        check({LP: THREE, "curl": "2-1"})

    functions.set(klp_install__install_edition=install)
    ret = apply(minion, "klp.patched")
    assert (ret["result"], ret["changes"]) == (False, {})
    assert ret["comment"] == "pending here, but not in the plan that was shown: curl 2-1; make a new plan"


def test_an_error_of_the_install_reports_what_changed(minion, functions, old):
    def breaks(_, edition, check=None):
        old["edition"] = edition
        becomes(THIRD)
        raise CommandExecutionError("post script failed")

    functions.set(klp_install__install_edition=breaks)
    ret = apply(minion, "klp.patched", level=3)
    assert (ret["result"], ret["changes"], ret["comment"]) == (False, PATCHED, "post script failed")
