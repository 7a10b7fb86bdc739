"""What it takes to live patch a host: locks, tools, product; the registration code stays secret."""

import logging

import pytest
from salt.exceptions import CommandExecutionError

import klp_enable
import klp_paths
from tests.unit import patched
from tests.unit.conftest import LP
from tests.unit.hosts import (
    BASE,
    FIRST,
    KERNEL_PACKAGE,
    LATER,
    ONE,
    THIRD,
    THREE,
    TOOLS,
    dry,
    has,
    reads,
    record,
    remembers,
    rpm,
    writes,
    wrote,
)
from tests.unit.loader import recorded

PRODUCT = "sle-module-live-patching/15.5/x86_64"
STATUS = ["SUSEConnect", "--status"]
CODE = patched.CODE

host = patched.ready  # the fixture


@pytest.fixture
def bare(host):
    """The same host without tools and live patch; both come at once."""
    rpm(host, {"kernel-default": KERNEL_PACKAGE}, {**BASE, LP: THREE})
    bring(host, [TOOLS, f"{LP}={THREE}"])
    return host


def bring(host, names, force=False, action="install"):
    """Let zypper install these packages."""
    options = ["--force"] if force else []
    editions = [name if "=" in name else f"{name}=1.4-1" for name in names]
    reads(host, ["install", "--dry-run", *options, *names], dry(action, *editions))
    writes(host, ["install", *options, *names], changes=True)


def test_an_enabled_host_is_left_alone(host, programs):
    assert host.salt["klp.enable"]() == {"changed": {}, "notes": []}
    assert {argv[0] for argv in programs.calls} == {"rpm"}


@pytest.mark.parametrize("edition", [ONE, None])
def test_nothing_is_enabled_on_an_unlocked_kernel(host, programs, edition):
    has(host, edition)
    host.locked("kernel-default")
    with pytest.raises(
        CommandExecutionError, match=r"^lock the kernel packages first .* not locked: kernel-default-base, "
    ):
        host.salt["klp.enable"]()
    host.file(klp_paths.LOCKS, "type: package\n")
    with pytest.raises(CommandExecutionError, match="freezes"):
        host.salt["klp.enable"]()
    assert programs.started("zypper") == []


@pytest.mark.parametrize(
    "text", ["type: package\nmatch_type: glob\nsolvable_name: kernel-default\n", "type: package\n"]
)
def test_the_state_makes_the_same_checks(host, programs, text):
    rpm(host, {"kernel-default": KERNEL_PACKAGE})
    host.file(klp_paths.LOCKS, text)
    with pytest.raises(CommandExecutionError, match="freezes|lock the kernel packages first"):
        klp_enable.enable_goal(host.host, "latest", {"edition": THREE, "module": THIRD, "product": None})
    assert programs.started("zypper") == []


def test_tools_and_live_patch_are_installed_by_one_call(bare):
    found = bare.salt["klp.enable"]()
    assert found == {"changed": {LP: {"old": None, "new": THREE}, TOOLS: {"old": None, "new": "1.4-1"}}, "notes": []}
    assert wrote(bare) == [["install", TOOLS, f"{LP}={THREE}"]]


def test_the_edition_that_was_predicted_is_installed(bare, programs):
    """The repositories may have a newer one by now: it was neither predicted nor looked for."""
    bring(bare, [TOOLS, f"{LP}={ONE}"])
    rpm(bare, {"kernel-default": KERNEL_PACKAGE}, {**BASE, LP: ONE})
    klp_enable.enable_goal(bare.host, "latest", {"edition": ONE, "module": FIRST, "product": None})
    assert wrote(bare) == [["install", TOOLS, f"{LP}={ONE}"]]
    assert not any("search" in argv and LP in argv for argv in programs.calls)


def test_missing_tools_do_not_change_the_live_patch(host):
    rpm(host, {"kernel-default": KERNEL_PACKAGE, LP: ONE}, {**BASE, LP: ONE})
    bring(host, [TOOLS])
    assert list(host.salt["klp.enable"]()["changed"]) == [TOOLS]


def test_tools_whose_installation_was_cut_off_are_installed_again(host):
    remembers(host, "begun", {TOOLS: "1.4-1", "curl": "8-1"})
    bring(host, [f"{TOOLS}=1.4-1"], force=True, action="reinstall")
    assert klp_enable.unfinished_tools(host.host) == {TOOLS: "1.4-1"}
    assert host.salt["klp.enable"]() == {"changed": {}, "notes": []}
    assert wrote(host) == [["install", "--force", f"{TOOLS}=1.4-1"]]
    assert record("begun") == {"curl": "8-1"}


def test_tools_that_were_cut_off_before_the_live_patch_come_again_with_it(host):
    rpm(host, BASE, {**BASE, LP: THREE})
    remembers(host, "begun", {TOOLS: "1.4-1"})
    bring(host, [f"{TOOLS}=1.4-1", f"{LP}={THREE}"], force=True)
    assert list(host.salt["klp.enable"]()["changed"]) == [LP]
    assert (record("begun"), host.salt["klp.enable"]()) == ({}, {"changed": {}, "notes": []})


@pytest.fixture
def registered(bare, paths):
    """The same host, registered, without the product of the live patches."""
    paths.add("SUSEConnect")
    bare.programs.on(STATUS, recorded("SUSEConnect/status.json"))
    bare.pillar["klp"] = {"product": {"regcode": CODE}}
    return bare


def activates(minion, *answers):
    minion.programs.on(["SUSEConnect", "--product", PRODUCT, "--regcode", "-"], *answers)


def test_the_code_is_given_on_standard_input_and_nowhere_else(registered, programs, caplog):
    caplog.set_level(logging.DEBUG)
    activates(registered, f"Registered with {CODE}")
    found = registered.salt["klp.enable"]()
    assert found["notes"] == [f"product {PRODUCT} activated"]
    number = [argv[:2] for argv in programs.calls].index(["SUSEConnect", "--product"])
    options = programs.options[number]
    assert (options["stdin"], options["output_loglevel"], options["timeout"]) == (CODE, "quiet", 600)
    assert not any(CODE in part for argv in programs.calls for part in argv)
    assert CODE not in caplog.text and CODE not in repr(found)
    status = programs.options[programs.calls.index(STATUS)]
    assert (status["output_loglevel"], status["stdin"]) == ("quiet", "")


def test_the_new_repositories_of_a_product_are_refreshed(registered, programs):
    """What was read before the product was there says nothing of its repositories."""
    activates(registered)
    host = registered.host
    host.fresh = True
    klp_enable.enable(host, "latest")
    calls = [argv for argv in programs.calls if argv[0] == "zypper" and "--provides" not in argv]
    assert [LATER in argv for argv in calls] == [False, True, True]
    assert calls[0][-1] == LP and "search" in calls[0]


def test_missing_tools_activate_the_product_that_has_them(registered):
    rpm(registered, {"kernel-default": KERNEL_PACKAGE, LP: ONE}, {**BASE, LP: ONE})
    activates(registered)
    bring(registered, [TOOLS])
    assert registered.salt["klp.enable"]()["notes"] == [f"product {PRODUCT} activated"]


def test_a_refused_code_is_not_quoted(registered, caplog):
    caplog.set_level(logging.DEBUG)
    activates(registered, {"retcode": 67, "stderr": f"Unknown Registration Code {CODE}."})
    with pytest.raises(CommandExecutionError) as error:
        registered.salt["klp.enable"]()
    assert str(error.value) == (
        f"SUSEConnect --product {PRODUCT} --regcode -: exit 67: Unknown Registration Code *****."
    )
    assert CODE not in caplog.text and wrote(registered) == []


def test_without_a_code_none_is_given(registered, programs):
    registered.pillar.clear()
    programs.on(["SUSEConnect", "--product", PRODUCT])
    assert registered.salt["klp.enable"]()["notes"] == [f"product {PRODUCT} activated"]
    assert programs.options[programs.calls.index(["SUSEConnect", "--product", PRODUCT])]["stdin"] == ""


@pytest.mark.parametrize(
    ("change", "missing"),
    [
        (lambda host, paths: None, PRODUCT),
        (lambda host, paths: paths.discard("SUSEConnect"), None),
        (lambda host, paths: host.file(f"{klp_paths.PRODUCTS}/sle-module-live-patching.prod", ""), None),
        (lambda host, paths: host.pillar.update(klp={"product": {"name": ""}}), None),
        (lambda host, paths: host.programs.on(STATUS, "[]"), None),
    ],
)
def test_a_product_is_missing_only_on_a_registered_host(registered, paths, change, missing):
    change(registered, paths)
    assert klp_enable.missing_product(registered.host) == missing


@pytest.mark.parametrize("answer", [{"stdout": f"broken {CODE}"}, {"retcode": 1, "stdout": CODE}])
def test_a_status_that_is_not_understood_is_not_quoted(registered, programs, answer):
    programs.on(STATUS, answer)
    with pytest.raises(CommandExecutionError, match="SUSEConnect --status") as error:
        klp_enable.missing_product(registered.host)
    assert CODE not in str(error.value)


def test_a_status_that_fails_is_quoted_without_what_is_secret(registered, programs):
    said = "Error: Invalid system credentials\nsee https://SCC_abc:pass@scc.suse.com/x with 1A2B3C4D5E6F7A8B"
    programs.on(STATUS, {"retcode": 67, "stdout": said + '\n[{"identifier": "SLES", "regcode": "X"}]'})
    with pytest.raises(CommandExecutionError) as error:
        klp_enable.missing_product(registered.host)
    assert str(error.value) == (
        "SUSEConnect --status: exit 67: Error: Invalid system credentials; see https://*****@scc.suse.com/x with *****"
    )


def test_the_registration_is_asked_once_in_a_run_and_within_a_minute(registered, programs):
    host = registered.host
    assert [klp_enable.missing_product(host) for _ in range(3)] == [PRODUCT] * 3
    assert len(programs.started(*STATUS)) == 1
    assert programs.options[programs.calls.index(STATUS)]["timeout"] <= 60


def test_a_registration_that_does_not_answer_is_not_asked_again(registered, programs):
    said = f"Timed out after {klp_enable.STATUS} seconds"
    programs.on(STATUS, {"retcode": 1, "stdout": said})
    host = registered.host
    for _ in range(3):
        with pytest.raises(CommandExecutionError, match=f"^SUSEConnect --status: no end within {klp_enable.STATUS} "):
            klp_enable.missing_product(host)
    assert len(programs.started(*STATUS)) == 1


def test_after_an_activation_the_registration_is_asked_again(registered, programs):
    activates(registered)
    host = registered.host
    klp_enable.enable(host, "latest")
    klp_enable.missing_product(host)
    assert len(programs.started(*STATUS)) == 2


@pytest.mark.parametrize(
    ("retcode", "more"),
    [(67, "; if this product needs a registration code: set pillar klp:product:regcode"), (64, ""), (1, "")],
)
def test_a_product_that_needs_a_code_and_has_none_says_which_key(registered, programs, retcode, more):
    registered.pillar.clear()
    said = "Error: Registration server returned 'Please provide a Registration Code for this product' (422)"
    programs.on(["SUSEConnect", "--product", PRODUCT], {"retcode": retcode, "stdout": said})
    with pytest.raises(CommandExecutionError) as error:
        registered.salt["klp.enable"]()
    assert str(error.value) == f"SUSEConnect --product {PRODUCT}: exit {retcode}: {said}{more}"
    assert wrote(registered) == []


def test_the_goal_is_an_edition_and_its_module(host):
    assert klp_enable.goal(host.host) == {"edition": ONE, "module": FIRST, "product": None}
    assert klp_enable.goal(host.host, 3) == {"edition": THREE, "module": THIRD, "product": None}


def test_the_goal_is_unknown_before_the_product_is_activated(registered):
    assert klp_enable.goal(registered.host) == {"edition": None, "module": None, "product": PRODUCT}
    assert klp_enable.goal(registered.host, search=True) == {"edition": THREE, "module": THIRD, "product": None}
