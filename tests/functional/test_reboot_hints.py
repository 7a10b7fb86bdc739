"""What asks for a reboot, with the empty ``needreboot`` that SUSE ships, and what an administrator has locked."""

import pytest

from tests.functional.conftest import ADVISORY, FIRST, LOCKS, LP, SECOND, THIRD, apply, settings, writes
from tests.lab import mirror as mirrors
from tests.lab.advisories import Advisory
from tests.lab.packages import HINT, Package, Spec

FLAG = "/run/reboot-needed"
REBOOT = "asks for a reboot; allow it with pillar klp:update:reboot"
HINTED = "asks for a reboot (provides installhint(reboot-needed)); allow it with pillar klp:update:reboot"
DRAGS = (
    "would upgrade libgnutls30-2.0-1.1 (asks for a reboot); allow it with pillar klp:update:reboot, or leave it out "
    "for good with pillar klp:update:exclude: [gnutls-user]"
)
LOCKED = f"locked by the administrator; unlock it with: zypper removelock -t patch {ADVISORY}"
# By advisory with a flag and without, by the update stack, by a dependency, by a hint that the new edition first has.
NAMES = ("tool", "systemd", "dbus-1", "libsolv-tools", "gnutls-user", "libgnutls30", "libcurl4")
TAGS = {"gnutls-user": ["Requires: libgnutls30 >= 2.0"], **dict.fromkeys(NAMES[1:4] + NAMES[5:], [HINT])}
OLD = [Package(name, "1.0", "1.1", [HINT] if name in ("systemd", "dbus-1") else []) for name in NAMES]
NEW = [Package(name, "2.0", "1.1", TAGS.get(name, [])) for name in NAMES]


def advisory(number, name, flag=""):
    return Advisory(f"{ADVISORY}{number}", "security", "important", 1700000002, [(name, "2.0", "1.1")], (), flag)


ADVISORIES = [
    advisory("6001", "systemd", "reboot"),
    advisory("6002", "dbus-1"),
    advisory("6003", "libsolv-tools", "restart"),
    advisory("6004", "gnutls-user"),
    advisory("6005", "libcurl4"),
]


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    specs = [Spec("old", "", 1700000000, OLD), Spec("new", "", 1700000001, NEW)]
    return mirrors.build(tmp_path_factory.mktemp("hints"), specs, ADVISORIES)


@pytest.fixture
def hinted(sles, repository):
    """Start hosts that are enabled and locked and have the old edition of everything in the mirror."""

    def start(**update):
        one = sles("enabled", update={"categories": ["security"], "scriptlets": "accept", **update})
        mirrors.offer(one, repository)
        assert one.zypper("al", *LOCKS).returncode == 0
        assert one.zypper("in", *[f"{name}=1.0" for name in NAMES]).returncode == 0
        assert one.read("/etc/zypp/needreboot") == "" and one.exists(FLAG)
        one.path(FLAG).unlink()  # the host was restarted since
        return one

    return start


def skipped(answer):
    lines = [line for line in answer.comments["klp-updates"].splitlines() if line.startswith("Skipped ")]
    pairs = dict(line.split(" ", 2)[2].split(": ", 1) for line in lines)
    return {name.replace(ADVISORY, ""): reason for name, reason in pairs.items()}


def test_nothing_that_asks_for_a_reboot_comes_without_permission(hinted):
    one = hinted()
    before = one.packages()
    predicted = apply(one, "klp.patch", test=True)
    answer = apply(one, "klp.patch")
    assert (answer.rc, answer.failed) == (0, {})
    assert set(answer.changes["klp-updates"]) == set(predicted.changes["klp-updates"]) == {"tool", "libz1", LP}
    after = one.packages()
    assert {name: after[name] for name in NAMES[1:]} == {name: before[name] for name in NAMES[1:]}
    found = skipped(answer)
    assert skipped(predicted) == found
    assert {name: found[name] for name in ("6001", "systemd")} == dict.fromkeys(("6001", "systemd"), REBOOT)
    hints = ("6002", "dbus-1", "6003", "libsolv-tools", "6005", "libcurl4", "libgnutls30", "kernel-firmware-all")
    assert {name: found[name] for name in hints} == dict.fromkeys(hints, HINTED)
    assert found["6004"] == found["gnutls-user"] == DRAGS
    assert not one.exists(FLAG) and one.zypper("needs-rebooting").returncode == 0
    assert answer.comments["klp-verified"] == f"ok: {one.kernel} with live patch {THIRD}"
    again = apply(one, "klp.patch")
    assert (again.changes, skipped(again), one.exists(FLAG)) == ({}, found, False)


def test_with_permission_it_comes_and_the_verdict_says_so(hinted):
    one = hinted(reboot=True)
    answer = apply(one, "klp.patch")
    assert (answer.rc, answer.failed) == (0, {})
    assert {name: one.editions(name) for name in NAMES} == dict.fromkeys(NAMES, ["2.0-1.1"])
    assert one.exists(FLAG) and not any("--provides" in program.argv for program in one.started("zypper"))
    assert answer.comments["klp-verified"].splitlines()[0] == f"reboot_needed: {one.kernel} with live patch {THIRD}"
    assert one.salt_call("klp.verify").data["verdict"] == "reboot_needed"


@pytest.mark.parametrize("name", ["dbus-1", "gnutls-user"])
def test_by_name_it_is_not_installed_either(hinted, name):
    one = hinted()
    answer = one.salt_call("zypper.install", [name])
    assert answer.rc != 0 and "(asks for a reboot); if this host may be restarted, install it by hand" in answer.stderr
    assert (one.editions(name), one.exists(FLAG)) == (["1.0-1.1"], False)


def test_names_and_capabilities_of_an_administrator_count_too(hinted):
    one = hinted(reboot=False)
    one.write("/etc/zypp/needreboot.d/site", "tool\nprovides:libz1 >= 1.2.13-150500.4\n")
    one.write("/etc/zypp/needreboot.d/site.rpmsave", "libgnutls30\n")
    found = skipped(apply(one, "klp.patch"))
    assert found["tool"].startswith("asks for a reboot (named in /etc/zypp/needreboot.d/site); ")
    assert found["libz1"].startswith("asks for a reboot (provides installhint(reboot-needed), or what the needreboot ")
    assert (one.editions("tool"), one.editions("libz1")) == (["1.0-1.1"], ["1.2.13-150500.2.3"])
    assert not one.exists(FLAG)
    apply(one, "klp.patch", pillar=settings(update={"reboot": True, "scriptlets": "accept"}))
    assert one.exists(FLAG) and one.editions("tool") == ["2.0-1.1"]


# -- what an administrator has locked ----------------------------------------------------------------------------------


def test_what_is_locked_stays_as_it_is_until_it_is_unlocked(sles):
    one = sles("enabled", update={"reboot": True, "scriptlets": "accept"})
    one.add_repo("update-combo")
    assert one.zypper("al", *LOCKS).returncode == 0
    assert one.zypper("al", "-t", "patch", f"{ADVISORY}3400", f"{ADVISORY}3210", f"{ADVISORY}2990").returncode == 0
    answer = apply(one, "klp.patch")
    assert (answer.rc, answer.failed) == (0, {})
    found = skipped(answer)
    assert {key: found[key] for key in ("3400", "3210", "2990")} == {
        key: f"{LOCKED}{key}" for key in ("3400", "3210", "2990")
    }
    for name, number in (("kernel-firmware-all", "3400"), ("libz1", "3210"), ("libzypp", "2990")):
        assert found[name] == f"its advisory {ADVISORY}{number} is {LOCKED}{number}"
    assert not {"kernel-firmware-all", "libz1", "libzypp"} & set(answer.changes["klp-updates"])
    again = apply(one, "klp.patch")
    assert (again.changes, writes(one)) == ({}, [])
    for key in ("3210", "2990"):
        cure = found[key].split("unlock it with: zypper ")[1].split()
        assert one.zypper(*cure).returncode == 0
    assert set(apply(one, "klp.patch").changes["klp-updates"]) == {"libz1", "libzypp"}


def test_a_live_patch_whose_advisory_is_locked_does_not_come(sles):
    one = sles("enabled")
    assert one.zypper("al", *LOCKS).returncode == 0
    third = "SUSE-SLE-Module-Live-Patching-15-SP5-2023-3179"
    assert one.zypper("al", "-t", "patch", third).returncode == 0
    answer = apply(one, "klp.patch")
    assert (answer.rc, one.editions(LP)) == (0, [SECOND])
    why = f"locked by the administrator; unlock it with: zypper removelock -t patch {third}"
    assert skipped(answer)[third] == why
    refused = one.salt_call("klp.install", 3)
    assert refused.rc != 0 and f"live patch {THIRD} is not installed: its advisory is {why}" in refused.stderr
    again = apply(one, "klp.patch")
    assert (again.rc, again.changes) == (0, {})
    assert one.zypper("removelock", "-t", "patch", third).returncode == 0
    assert (apply(one, "klp.patch").rc, one.editions(LP)) == (0, [THIRD])


def test_the_locks_of_a_hold_are_no_administrators(sles):
    one = sles("enabled", update={"scriptlets": "accept"})
    assert apply(one, "klp").failed == {}
    assert apply(one, "klp.patch").failed == {}
    assert one.salt_call("klp.downgrade", 1).rc == 0
    assert "patch" in one.locks() and one.editions(LP) == [FIRST]
    answer = apply(one, "klp.patch")
    assert (answer.rc, one.editions(LP)) == (0, [FIRST])
    assert "locked by the administrator" not in answer.comments["klp-updates"]
