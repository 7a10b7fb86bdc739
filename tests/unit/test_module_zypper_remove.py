"""Removing packages: only what was named goes, a kernel never, and rpm has the last word."""

import pytest
from salt.exceptions import CommandExecutionError, SaltInvocationError

READ = ["zypper", "--non-interactive", "--xmlout"]
WRITE = ["zypper", "--non-interactive"]
SUMMARY = "<stream><install-summary>{}</install-summary></stream>"
SOLVABLE = '<solvable type="{}" name="{}" edition="1-1"/>'
PROVIDERS = ["rpm", "-q", "--whatprovides", "--qf", "[%{=NAME}\\t%{PROVIDENAME} = %{PROVIDEVERSION}\\n]", "pattern()"]


def dry_run(minion, asked, retcode=0, **actions):
    """Answer the dry run for some packages: ``remove=["a", "pattern:b"]``."""
    parts = []
    for action, names in actions.items():
        pairs = [name.split(":") if ":" in name else ("package", name) for name in names]
        parts.append(f"<to-{action}>{''.join(SOLVABLE.format(*pair) for pair in pairs)}</to-{action}>")
    answer = {"retcode": retcode, "stdout": SUMMARY.format("".join(parts))}
    minion.programs.on([*READ, "remove", "--dry-run", *asked], answer)


@pytest.fixture
def host(minion):
    """A host with the packages a and b, which zypper removes, and c."""
    minion.rpm_q(["a", "b"], {"a": "1-1", "b": "1-1"}, {})
    minion.rpm_qa({"a": "1-1", "b": "1-1", "c": "1-1"}, {"c": "1-1"})
    dry_run(minion, ["a", "b"], remove=["a", "b"])
    minion.programs.on([*WRITE, "remove", "a", "b"], changes=True)
    return minion


def test_packages_are_removed_by_one_call_after_a_dry_run(host, programs):
    assert host.salt["zypper.removal"](["a", "b"]) == {"a": "1-1", "b": "1-1"}
    assert programs.started(*WRITE, "remove") == []
    changed = {name: {"old": "1-1", "new": None} for name in ("a", "b")}
    assert host.salt["zypper.remove"](["a", "b"]) == {"changed": changed, "notes": []}
    assert host.salt["zypper.remove"](["a", "b"]) == {"changed": {}, "notes": []}
    assert host.salt["zypper.removal"](["a", "b"]) == {}
    assert programs.started(*WRITE, "remove") == [[*WRITE, "remove", "a", "b"]]


@pytest.mark.parametrize("name", ["a=1-1", "pattern:a", "a-1"])
def test_only_plain_names_are_removed(minion, programs, name):
    minion.rpm_q([name], {"a": "1-1"})
    for call in ("zypper.remove", "zypper.removal"):
        with pytest.raises(SaltInvocationError, match=f"^packages {name}: wanted plain names"):
            minion.salt[call]([name])
    assert programs.started("zypper") == []


def test_a_name_that_is_an_option_reaches_no_program(minion, programs):
    for call in ("zypper.remove", "zypper.removal"):
        with pytest.raises(SaltInvocationError, match="'--root=/': not a package name"):
            minion.salt[call](["--root=/"])
    assert programs.calls == []


@pytest.mark.parametrize(
    ("actions", "told"),
    [
        ({"remove": ["a", "b", "agent"]}, "remove agent-1-1"),
        ({"remove": ["a", "b"], "install": ["c"]}, "install c-1-1"),
        ({"remove": ["a", "b"], "upgrade": ["pattern:c"]}, "upgrade c-1-1"),
        ({"remove": ["a", "kernel-default"], "downgrade": ["b"]}, "downgrade b-1-1, remove kernel-default-1-1"),
    ],
)
def test_what_else_would_go_is_named_and_nothing_is_removed(host, programs, actions, told):
    dry_run(host, ["a", "b"], **actions)
    for call in ("zypper.remove", "zypper.removal"):
        with pytest.raises(CommandExecutionError) as caught:
            host.salt[call](["a", "b"])
        assert str(caught.value) == (
            f"zypper remove: refused before anything was removed, because it would also {told}; remove by hand first "
            "what is not needed any more, or keep what it needs (pillar klp:disable)"
        )
    assert programs.started(*WRITE, "remove") == []


def test_a_pattern_goes_with_its_package(host):
    dry_run(host, ["a", "b"], remove=["a", "b", "pattern:lp_sles"])
    assert host.salt["zypper.removal"](["a", "b"]) == {"a": "1-1", "b": "1-1"}


def test_a_kernel_is_not_removed_where_it_is_named_either(minion, programs):
    minion.rpm_q(["kernel-default"], {"kernel-default": "1-1"})
    minion.rpm_qa({"kernel-default": "1-1"})
    dry_run(minion, ["kernel-default"], remove=["kernel-default"])
    with pytest.raises(CommandExecutionError, match="it would also remove kernel-default-1-1;"):
        minion.salt["zypper.remove"](["kernel-default"])
    assert programs.started(*WRITE, "remove") == []


def test_a_lock_on_one_of_them_is_named(host, programs):
    host.locked("c", "b")
    with pytest.raises(CommandExecutionError) as caught:
        host.salt["zypper.removal"](["a", "b"])
    text = "zypper remove: lock in line 8 of /etc/zypp/locks (b) keeps b; remove it or make it narrower"
    assert str(caught.value) == text
    assert programs.started("zypper") == []


@pytest.mark.parametrize("text", ["", "<stream/>", "<stream><install-summary><to-x/></install-summary></stream>"])
def test_an_unknown_answer_of_the_dry_run_is_an_error(host, programs, text):
    programs.on([*READ, "remove", "--dry-run", "a", "b"], text)
    with pytest.raises(CommandExecutionError, match="zypper --"):
        host.salt["zypper.remove"](["a", "b"])
    assert programs.started(*WRITE, "remove") == []


def test_a_package_that_stays_is_an_error(host, programs):
    programs.on([*WRITE, "remove", "a", "b"])
    with pytest.raises(CommandExecutionError, match="^zypper remove: still installed: a, b$"):
        host.salt["zypper.remove"](["a", "b"])
    assert len(programs.started(*WRITE, "remove")) == 1


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("warning: %postun(a-1-1.x86_64) scriptlet failed, exit status 3", "a-1-1.x86_64"),
        ("", "zypper does not say of which package"),
    ],
)
def test_a_scriptlet_that_failed_is_told(host, programs, text, told):
    programs.on([*WRITE, "remove", "a", "b"], {"retcode": 107, "stdout": text}, changes=True)
    assert host.salt["zypper.remove"](["a", "b"])["notes"] == [f"removed, but a scriptlet failed: {told}"]


@pytest.mark.parametrize(
    ("text", "told"), [("Skipping repository 'x' because of the above error.", "x"), ("", "unknown")]
)
def test_a_repository_that_was_skipped_is_an_error(host, programs, text, told):
    programs.on([*WRITE, "remove", "a", "b"], {"retcode": 106, "stdout": text})
    with pytest.raises(CommandExecutionError, match=f"^zypper remove: exit 106: repository {told} was skipped"):
        host.salt["zypper.remove"](["a", "b"])


# -- another zypper is at work, as after a kill ------------------------------------------------------------------------


@pytest.mark.parametrize(("left", "found"), [({"b": "1-1"}, {"b": "1-1"}), ({}, {})])
def test_packages_that_went_before_the_dry_run_are_left_out(minion, left, found):
    minion.rpm_q(["a", "b"], {"a": "1-1", "b": "1-1"}, left)
    minion.rpm_q(["b"], {"b": "1-1"})
    minion.programs.on([*READ, "remove", "--dry-run", "a", "b"], {"retcode": 104}, changes=True)
    dry_run(minion, ["b"], remove=["b"])
    assert minion.salt["zypper.removal"](["a", "b"]) == found


def test_packages_that_all_went_before_the_dry_run_are_no_error(minion, programs):
    minion.rpm_q(["a", "b"], {"a": "1-1", "b": "1-1"}, {})
    minion.rpm_qa({"a": "1-1", "b": "1-1"}, {})
    programs.on([*READ, "remove", "--dry-run", "a", "b"], {"retcode": 104}, changes=True)
    assert set(minion.salt["zypper.remove"](["a", "b"])["changed"]) == {"a", "b"}
    assert programs.started(*WRITE, "remove") == []


def test_a_package_that_only_zypper_does_not_find_is_an_error(host, programs):
    programs.on([*READ, "remove", "--dry-run", "a", "b"], {"retcode": 104})
    with pytest.raises(CommandExecutionError, match="^zypper remove: exit 104: it does not find what rpm has: a, b$"):
        host.salt["zypper.remove"](["a", "b"])


def test_a_package_that_went_after_the_dry_run_does_not_stop_the_others(host, programs):
    host.rpm_q(["a", "b"], {"a": "1-1", "b": "1-1"}, {"b": "1-1"}, {})
    programs.on([*WRITE, "remove", "a", "b"], {"retcode": 104}, changes=True)
    dry_run(host, ["b"], remove=["b"])
    programs.on([*WRITE, "remove", "b"], changes=True)
    assert host.salt["zypper.remove"](["a", "b"])["notes"] == []
    assert len(programs.started(*WRITE, "remove")) == 2


def test_zypper_is_not_started_for_ever(host, programs):
    programs.on([*WRITE, "remove", "a", "b"], {"retcode": 104})
    with pytest.raises(CommandExecutionError, match="still installed: a, b"):
        host.salt["zypper.remove"](["a", "b"])
    assert len(programs.started(*WRITE, "remove")) == 1


# -- providers ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("capability", "names"),
    [("pattern() = lp_sles", ["patterns-lp"]), ("pattern()", ["base", "patterns-lp"]), ("pattern() = no", [])],
)
def test_providers_of_a_capability(minion, programs, capability, names):
    text = "patterns-lp\tpattern() = lp_sles\npatterns-lp\tpattern-visible() = \nbase\tpattern() = base\n"
    programs.on(PROVIDERS, text)
    assert minion.salt["zypper.providers"](capability) == names


def test_nothing_provides_a_capability(minion, programs):
    programs.on(PROVIDERS, {"retcode": 1, "stdout": "no package provides pattern()"})
    assert minion.salt["zypper.providers"]("pattern() = lp_sles") == []


def test_a_capability_that_is_an_option_reaches_no_program(minion, programs):
    with pytest.raises(SaltInvocationError, match="not a capability"):
        minion.salt["zypper.providers"]("--eval=1")
    assert programs.calls == []


# -- the loader --------------------------------------------------------------------------------------------------------


def test_the_file_is_loaded_where_zypper_is(minion, paths):
    module = minion.modules["zypper_remove"]
    assert module.__virtual__() == "zypper"
    paths.discard("zypper")
    assert module.__virtual__() == (False, "zypper: command zypper not found, this is not a SUSE host")
    del minion.utils["zypp_cmd.zypper"]
    assert "run saltutil.sync_all" in module.__virtual__()[1]
