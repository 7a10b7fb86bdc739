"""``zypper.update``: the update stack first, again while zypper asks for it, never for ever, nothing missing."""

import pytest
from salt.exceptions import CommandExecutionError

from tests.unit.loader import recorded

READ = ["zypper", "--non-interactive", "--xmlout"]
WRITE = ["zypper", "--non-interactive"]
DRY = "<stream><install-summary/></stream>"


def advisory(name, stack=False, category="security"):
    flag = "true" if stack else "false"
    return f'<update kind="patch" name="{name}" category="{category}" severity="low" pkgmanager="{flag}"/>'


def patches(*rows):
    return f"<stream><update-list>{''.join(rows)}</update-list></stream>"


def updates(**packages):
    rows = "".join(
        f'<update kind="package" name="{name}" edition="{new}" edition-old="1-1"/>' for name, new in packages.items()
    )
    return f"<stream><update-list>{rows}</update-list></stream>"


def contents(**packages):
    return "".join(
        f"Name        : {name}\nConflicts   : [1]\n    {package} < 2-1\n" for name, package in packages.items()
    )


STACK, PLAIN = advisory("S-1", stack=True), advisory("A-1")
INFO = contents(**{"A-1": "a", "S-1": "libzypp"})


@pytest.fixture
def host(minion):
    """Two updates are pending, one of them of the update stack; what is answered comes in the order of the passes."""
    minion.programs.on(WRITE + ["info", "--type", "patch", ...], INFO)
    minion.programs.on(READ + ["update", "--dry-run", ...], DRY)
    return minion


def say(minion, listed, pending, installed):
    """Set the answers for each time that packages have changed."""
    minion.programs.on(READ + ["list-patches", "--all"], *listed)
    minion.programs.on(READ + ["list-updates"], *pending)
    minion.rpm_qa(*installed)


def test_the_update_stack_goes_first_and_alone(host, programs):
    say(
        host,
        [patches(STACK, PLAIN), patches()],
        [updates(a="2-1", libzypp="2-1"), updates()],
        [{"a": "1-1", "libzypp": "1-1"}, {"a": "2-1", "libzypp": "2-1"}],
    )
    programs.on(
        WRITE + ["install", "--type", "patch", "S-1"],
        {"retcode": 103, "stdout": recorded("zypper/install-stack.txt")},
        changes=True,
    )
    programs.on(WRITE + ["update", "a", "libzypp"], {"retcode": 102}, changes=True)
    assert host.salt["zypper.update"]() == {
        "changed": {"a": {"old": "1-1", "new": "2-1"}, "libzypp": {"old": "1-1", "new": "2-1"}},
        "skipped": [],
        "notes": ["something that was installed asks for a reboot"],
    }
    written = [argv[2] for argv in programs.calls if argv[0] == "zypper" and argv[2] in ("install", "update")]
    assert written == ["install", "update"]


def test_zypper_is_run_again_while_it_asks_for_it(host, programs):
    say(
        host,
        [patches(PLAIN), patches(PLAIN), patches()],
        [updates(a="2-1"), updates(b="2-1"), updates()],
        [{"a": "1-1", "b": "1-1"}, {"a": "2-1", "b": "1-1"}, {"a": "2-1", "b": "2-1"}],
    )
    programs.on(WRITE + ["update", "a"], {"retcode": 103}, changes=True)
    programs.on(WRITE + ["update", "b"], changes=True)
    found = host.salt["zypper.update"]()
    assert sorted(found["changed"]) == ["a", "b"]
    assert [argv[3:] for argv in programs.started(*WRITE, "update")] == [["a"], ["b"]]


def test_zypper_that_never_ends_asking_is_an_error(host, programs):
    say(
        host,
        [patches(PLAIN)],
        [updates(a="2-1"), updates(b="2-1"), updates(a="3-1"), updates(b="3-1")],
        [{"a": "1-1", "b": "1-1"}, {"a": "2-1", "b": "1-1"}, {"a": "2-1", "b": "2-1"}, {"a": "3-1", "b": "2-1"}],
    )
    programs.on(WRITE + ["update", ...], {"retcode": 103}, changes=True)
    with pytest.raises(CommandExecutionError, match="still not finished after 3 passes"):
        host.salt["zypper.update"]()
    assert len(programs.started(*WRITE, "update")) == 3


def test_an_advisory_that_appears_meanwhile_is_installed_too(host, programs):
    say(
        host,
        [patches(PLAIN), patches(advisory("B-1")), patches()],
        [updates(a="2-1"), updates(b="2-1"), updates()],
        [{"a": "1-1", "b": "1-1"}, {"a": "2-1", "b": "1-1"}, {"a": "2-1", "b": "2-1"}],
    )
    programs.on(WRITE + ["info", "--type", "patch", "B-1"], contents(**{"B-1": "b"}))
    programs.on(WRITE + ["update", ...], changes=True)
    assert sorted(host.salt["zypper.update"]()["changed"]) == ["a", "b"]


def test_what_is_still_needed_is_told(host, programs):
    say(
        host,
        [patches(PLAIN), patches(PLAIN)],
        [updates(a="2-1"), updates()],
        [{"a": "1-1"}, {"a": "2-1"}],
    )
    programs.on(WRITE + ["update", "a"], changes=True)
    (left,) = host.salt["zypper.update"]()["skipped"]
    assert left["item"] == "A-1" and left["reason"].startswith("still needed after the update")


def test_what_is_missing_afterwards_is_an_error(host, programs):
    say(host, [patches(PLAIN)], [updates(a="2-1")], [{"a": "1-1"}])
    programs.on(WRITE + ["update", "a"], changes=True)
    with pytest.raises(CommandExecutionError, match="^zypper update: a: wanted 2-1, found 1-1$"):
        host.salt["zypper.update"]()


def test_failed_scriptlets_are_notes(host, programs):
    say(host, [patches(PLAIN), patches()], [updates(a="2-1"), updates()], [{"a": "1-1"}, {"a": "2-1"}])
    said = {"retcode": 107, "stdout": recorded("zypper/update-scriptlet-failed.txt")}
    programs.on(WRITE + ["update", "a"], said, changes=True)
    assert host.salt["zypper.update"]()["notes"] == [
        "installed, but a scriptlet failed: nfs-client-2.1.1-150500.22.3.1.x86_64"
    ]


def test_licences_are_agreed_to_only_if_pillar_says_so(host, programs):
    host.pillar["klp"] = {"update": {"licenses": True}}
    say(
        host,
        [patches(STACK), patches()],
        [updates(libzypp="2-1"), updates()],
        [{"libzypp": "1-1"}, {"libzypp": "2-1"}],
    )
    agree = "--auto-agree-with-licenses"
    programs.on(WRITE + ["install", agree, "--type", "patch", "S-1"], {"retcode": 103}, changes=True)
    programs.on(WRITE + ["update", agree, "libzypp"], recorded("zypper/update-nothing.txt"), changes=True)
    assert sorted(host.salt["zypper.update"]()["changed"]) == ["libzypp"]


def test_nothing_pending_starts_nothing_that_writes(host, programs):
    excluded = {"update": {"exclude": ["A-*"]}}
    host.pillar["klp"] = excluded
    say(host, [patches(PLAIN)], [updates(a="2-1")], [{"a": "1-1"}])
    found = host.salt["zypper.update"]()
    assert found["changed"] == {} and {item["item"] for item in found["skipped"]} == {"A-1", "a"}
    assert programs.started(*WRITE, "update") == []


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (106, "zypper update: exit 106: repository unknown was skipped"),
        (8, r"zypper update: exit 8 \(a package could not be fetched or installed\)"),
        (4, r"zypper update: exit 4 \(the solver found a problem"),
    ],
)
def test_other_exit_codes_end_the_update(host, programs, code, message):
    say(host, [patches(PLAIN)], [updates(a="2-1")], [{"a": "1-1"}])
    programs.on(WRITE + ["update", "a"], {"retcode": code}, changes=True)
    with pytest.raises(CommandExecutionError, match=message):
        host.salt["zypper.update"]()
