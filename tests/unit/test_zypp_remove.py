"""Removing packages: only what was named goes, a kernel never, and rpm has the last word."""

import pytest
from salt.exceptions import CommandExecutionError, SaltInvocationError

import zypp_write
from tests.unit.hosts import reads, record, remembers, rpm, writes, wrote

SUMMARY = "<stream><install-summary>{}</install-summary></stream>"
SOLVABLE = '<solvable type="{}" name="{}" edition="1-1"/>'


def dry_run(minion, asked, retcode=0, **actions):
    """Answer the dry run for some packages: ``remove=["a", "pattern:b"]``."""
    parts = []
    for action, names in actions.items():
        pairs = [name.split(":") if ":" in name else ("package", name) for name in names]
        parts.append(f"<to-{action}>{''.join(SOLVABLE.format(*pair) for pair in pairs)}</to-{action}>")
    answer = {"retcode": retcode, "stdout": SUMMARY.format("".join(parts))}
    reads(minion, ["remove", "--dry-run", *asked], answer)


@pytest.fixture
def host(minion):
    """A host with the packages a and b, which zypper removes, and c."""
    rpm(minion, {"a": "1-1", "b": "1-1", "c": "1-1"}, {"c": "1-1"})
    dry_run(minion, ["a", "b"], remove=["a", "b"])
    writes(minion, ["remove", "a", "b"], changes=True)
    return minion


def test_packages_are_removed_by_one_call_after_a_dry_run(host, programs):
    assert zypp_write.removal(host.host, ["a", "b"]) == {"a": "1-1", "b": "1-1"}
    assert wrote(host, "remove") == []
    changed = {name: {"old": "1-1", "new": None} for name in ("a", "b")}
    assert host.salt["zypper.remove"](["a", "b"]) == {"changed": changed, "notes": []}
    assert host.salt["zypper.remove"](["a", "b"]) == {"changed": {}, "notes": []}
    assert zypp_write.removal(host.host, ["a", "b"]) == {}
    assert wrote(host, "remove") == [["remove", "a", "b"]]


@pytest.mark.parametrize("name", ["a=1-1", "pattern:a", "a-1"])
def test_only_plain_names_are_removed(minion, programs, name):
    minion.rpm_q([name], {"a": "1-1"})  # rpm finds a package by NAME-VERSION, too
    for call in (minion.salt["zypper.remove"], lambda names: zypp_write.removal(minion.host, names)):
        with pytest.raises(SaltInvocationError, match=f"^packages {name}: wanted plain names"):
            call([name])
    assert programs.started("zypper") == []


def test_a_name_that_is_an_option_reaches_no_program(minion, programs):
    for call in (minion.salt["zypper.remove"], lambda names: zypp_write.removal(minion.host, names)):
        with pytest.raises(SaltInvocationError, match="'--root=/': not a package name"):
            call(["--root=/"])
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
    for call in (host.salt["zypper.remove"], lambda names: zypp_write.removal(host.host, names)):
        with pytest.raises(CommandExecutionError) as caught:
            call(["a", "b"])
        assert str(caught.value) == (
            f"zypper remove: refused before anything was removed, because it would also {told}; remove by hand first "
            "what is not needed any more, or keep what it needs (pillar klp:disable)"
        )
    assert wrote(host, "remove") == []


def test_a_pattern_goes_with_its_package(host):
    dry_run(host, ["a", "b"], remove=["a", "b", "pattern:lp_sles"])
    assert zypp_write.removal(host.host, ["a", "b"]) == {"a": "1-1", "b": "1-1"}


def test_a_kernel_is_not_removed_where_it_is_named_either(minion, programs):
    rpm(minion, {"kernel-default": "1-1"})
    dry_run(minion, ["kernel-default"], remove=["kernel-default"])
    with pytest.raises(CommandExecutionError, match="it would also remove kernel-default-1-1;"):
        minion.salt["zypper.remove"](["kernel-default"])
    assert wrote(minion, "remove") == []


def test_a_lock_on_one_of_them_is_named(host, programs):
    host.locked("c", "b")
    with pytest.raises(CommandExecutionError) as caught:
        zypp_write.removal(host.host, ["a", "b"])
    text = "zypper remove: lock in line 8 of /etc/zypp/locks (b) keeps b; remove it or make it narrower"
    assert str(caught.value) == text
    assert programs.started("zypper") == []


def test_what_was_begun_and_is_removed_is_forgotten(host):
    remembers(host, "begun", {"a": "1-1", "c": "1-1"})
    host.salt["zypper.remove"](["a", "b"])
    assert record("begun") == {"c": "1-1"}


@pytest.mark.parametrize("text", ["", "<stream/>", "<stream><install-summary><to-x/></install-summary></stream>"])
def test_an_unknown_answer_of_the_dry_run_is_an_error(host, programs, text):
    reads(host, ["remove", "--dry-run", "a", "b"], text)
    with pytest.raises(CommandExecutionError, match="zypper --"):
        host.salt["zypper.remove"](["a", "b"])
    assert wrote(host, "remove") == []


def test_a_package_that_stays_is_an_error(host, programs):
    writes(host, ["remove", "a", "b"])
    with pytest.raises(CommandExecutionError, match="^zypper remove: still installed: a, b$"):
        host.salt["zypper.remove"](["a", "b"])
    assert len(wrote(host, "remove")) == 1


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("warning: %postun(a-1-1.x86_64) scriptlet failed, exit status 3", "a-1-1.x86_64"),
        ("", "zypper does not say of which package"),
    ],
)
def test_a_scriptlet_that_failed_is_told(host, programs, text, told):
    writes(host, ["remove", "a", "b"], {"retcode": 107, "stdout": text}, changes=True)
    assert host.salt["zypper.remove"](["a", "b"])["notes"] == [f"removed, but a scriptlet failed: {told}"]


@pytest.mark.parametrize(
    ("text", "told"), [("Skipping repository 'x' because of the above error.", "x"), ("", "unknown")]
)
def test_a_repository_that_was_skipped_is_an_error(host, programs, text, told):
    writes(host, ["remove", "a", "b"], {"retcode": 106, "stdout": text})
    with pytest.raises(CommandExecutionError, match=f"^zypper remove: exit 106: repository {told} was skipped"):
        host.salt["zypper.remove"](["a", "b"])


# -- another zypper is at work, as after a kill ------------------------------------------------------------------------


@pytest.mark.parametrize(("left", "found"), [({"b": "1-1"}, {"b": "1-1"}), ({}, {})])
def test_packages_that_went_before_the_dry_run_are_left_out(minion, left, found):
    rpm(minion, {"a": "1-1", "b": "1-1"}, left)
    reads(minion, ["remove", "--dry-run", "a", "b"], {"retcode": 104}, changes=True)
    dry_run(minion, ["b"], remove=["b"])
    assert zypp_write.removal(minion.host, ["a", "b"]) == found


def test_packages_that_all_went_before_the_dry_run_are_no_error(minion, programs):
    rpm(minion, {"a": "1-1", "b": "1-1"}, {})
    reads(minion, ["remove", "--dry-run", "a", "b"], {"retcode": 104}, changes=True)
    assert set(minion.salt["zypper.remove"](["a", "b"])["changed"]) == {"a", "b"}
    assert wrote(minion, "remove") == []


def test_a_package_that_only_zypper_does_not_find_is_an_error(host, programs):
    reads(host, ["remove", "--dry-run", "a", "b"], {"retcode": 104})
    with pytest.raises(CommandExecutionError, match="^zypper remove: exit 104: it does not find what rpm has: a, b$"):
        host.salt["zypper.remove"](["a", "b"])


def test_a_package_that_went_after_the_dry_run_does_not_stop_the_others(host, programs):
    rpm(host, {"a": "1-1", "b": "1-1"}, {"b": "1-1"}, {})
    writes(host, ["remove", "a", "b"], {"retcode": 104}, changes=True)
    dry_run(host, ["b"], remove=["b"])
    writes(host, ["remove", "b"], changes=True)
    assert host.salt["zypper.remove"](["a", "b"])["notes"] == []
    assert len(wrote(host, "remove")) == 2


def test_zypper_is_not_started_for_ever(host, programs):
    writes(host, ["remove", "a", "b"], {"retcode": 104})
    with pytest.raises(CommandExecutionError, match="still installed: a, b"):
        host.salt["zypper.remove"](["a", "b"])
    assert len(wrote(host, "remove")) == 1
