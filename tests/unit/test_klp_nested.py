"""SLS of the administrator's own are rendered and run by Salt itself, with files of this test as its file root."""

import re
import types

import pytest
import salt.config

import klp_nested
from tests.unit.loader import ROOT

GOOD = """\
second:
  test.succeed_with_changes:
    - order: 1
    - require:
      - test: first
first:
  test.{first}:
    - name: {name}
"""
DOUBLE = "one:\n  test.nop: []\none:\n  test.nop: []\n"


@pytest.fixture
def site(minion, tmp_path):
    """Give ``site.write(NAME, TEXT)`` for an SLS, and ``site.host``."""
    opts = salt.config.DEFAULT_MINION_OPTS.copy()
    names = ("cachedir", "extension_modules", "pki_dir", "sock_dir", "root_dir")
    folders = {name: str(tmp_path / name) for name in names}
    opts.update(folders, conf_file=str(tmp_path / "minion"), file_client="local", id="sles1", grains=minion.grains)
    roots = {"base": [str(tmp_path / "srv")], "prod": [str(tmp_path / "prod")]}
    opts.update(file_roots=roots, saltenv=None, test=False)
    opts["__role"] = "minion"

    def write(name, text, root="srv"):
        minion.write(f"{root}/{name.replace('.', '/')}.sls", text)

    host = minion.host
    host.opts, host.whole_pillar = opts, {"balancer": "lb1", "klp": {}}
    return types.SimpleNamespace(write=write, host=host)


def test_states_are_told_in_the_order_in_which_they_ran(site):
    site.write("site.drain", GOOD.format(first="succeed_with_changes", name="{{ pillar['balancer'] }}"))
    assert klp_nested.problems(site.host, ["site.drain"]) == []
    for test, result in ((True, None), (False, True)):
        found = klp_nested.run(site.host, ["site.drain"], test)
        assert found["problems"] == []
        assert [(state["id"], state["sls"]) for state in found["states"]] == [
            ("first", "site.drain"),
            ("second", "site.drain"),
        ]
        assert [(state["result"], bool(state["changes"])) for state in found["states"]] == [(result, True)] * 2
    assert site.host.opts["test"] is False and site.host.whole_pillar == {"balancer": "lb1", "klp": {}}


def test_what_requires_a_failed_state_fails_with_it(site):
    site.write("site.drain", GOOD.format(first="fail_without_changes", name="x"))
    found = klp_nested.run(site.host, ["site.drain"], False)
    assert [state["result"] for state in found["states"]] == [False, False] and found["problems"] == []


def test_the_environment_of_the_run_is_that_of_its_hooks(site):
    site.write("drain", "here:\n  test.nop: []\n", root="prod")
    assert klp_nested.problems(site.host, ["drain"]) == ["No matching sls found for 'drain' in env 'base'"]
    site.host.opts["saltenv"] = "prod"
    assert klp_nested.problems(site.host, ["drain"]) == []


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("x:\n  test.nop: [\n", "Rendering SLS 'base:site.drain' failed: "),
        ("{{ salt['no.such']() }}", "Rendering SLS 'base:site.drain' failed: "),
        (DOUBLE, "Rendering SLS 'base:site.drain' failed: "),
        ("include:\n  - nowhere\n", "Specified SLS nowhere in saltenv base is not available on the salt master"),
        ("include:\n  - klp.patch\n", "it includes klp.patch, which is the run itself"),
        ("one:\n  test.nop:\n    - require: x\n", "The require statement in state 'one' in SLS 'site.drain' needs"),
        ("one:\n  test:\n    - name: x\n", "No function declared in state 'one' in SLS 'site.drain'"),
    ],
)
def test_what_cannot_be_run_is_told_and_nothing_is_run(site, text, why):
    site.write("klp.patch", "x:\n  test.succeed_with_changes: []\n")
    site.write("site.drain", text)
    site.write("site.more", "y:\n  test.succeed_with_changes: []\n")
    found = klp_nested.run(site.host, ["site.drain", "site.more"], False)
    (told,) = found["problems"]
    assert told.startswith(why) and told.isprintable() and len(told) <= 300
    assert found["states"] == [] and klp_nested.problems(site.host, ["site.drain", "site.more"]) == [told]


def test_a_missing_requisite_is_found_before_or_is_a_state_that_fails(site):
    """Salt 3008 finds it when it compiles the states, 3006 and 3007 when the state's turn comes."""
    site.write("site.drain", "one:\n  test.succeed_with_changes:\n    - require:\n      - test: gone\n")
    found, before = klp_nested.run(site.host, ["site.drain"], False), klp_nested.problems(site.host, ["site.drain"])
    if before:
        assert (found["problems"], found["states"]) == (before, []) and "does not exist" in before[0]
    else:
        assert [state["result"] for state in found["states"]] == [False]


def test_the_states_of_the_how_to_can_be_run(site):
    page = (ROOT / "docs" / "how-to" / "hooks.md").read_text(encoding="utf-8")
    found = re.findall(r"^# /srv/salt/(site)/(\w+)\.sls\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    names = [f"{folder}.{name}" for folder, name, _ in found]
    assert names == ["site.drain", "site.undrain", "site.leave", "site.join", "site.alarm"]
    for name, (_, _, text) in zip(names, found, strict=True):
        site.write(name, text)
        assert klp_nested.problems(site.host, [name]) == []
