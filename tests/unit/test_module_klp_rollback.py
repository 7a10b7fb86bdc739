"""The way back to an earlier live patch: what a level means, what refuses it, what holds it, what gives it free."""

import json
import stat

import pytest
from salt.exceptions import CommandExecutionError, SaltInvocationError

from tests.unit.conftest import LP
from tests.unit.loader import recorded
from tests.unit.test_module_klp import FIRST, ONE, READ, SEARCH, THIRD, THREE, TWO, WRITE, has

SECOND = "livepatch_2_150500_2_1"
BRINGS_3 = "SUSE-SLE-Module-Live-Patching-15-SP5-2023-3179"
LOCK, ADVISORY = f"{LP}>{TWO}", f"patch:{BRINGS_3}"
DOWN = ["install", "--oldpackage"]
DRY = READ + DOWN + ["--dry-run"]
BACK = WRITE + DOWN


def record(minion, name="hold"):
    path = minion.root / "record" / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else None


def held_at(minion, edition=TWO, locks=(), **fields):
    hold = {"package": LP, "edition": edition, "from": THREE, "since": 1, "locks": list(locks), **fields}
    minion.write("record/hold.json", json.dumps(hold))


def lock_records(*names):
    """Return lock records as zypper writes them."""
    text = ""
    for name in names:
        kind, _, rest = name.rpartition(":")
        package, _, edition = rest.partition(">")
        version = f"version: > {edition}\n" if edition else ""
        text += (
            f"\ntype: {kind or 'package'}\n{version}match_type: glob\ncase_sensitive: on\nsolvable_name: {package}\n\n"
        )
    return text


def locking(minion):
    """Let zypper write its lock file as it does."""

    def add(*names):
        def write():
            there = (minion.root / "locks").read_text() if (minion.root / "locks").exists() else ""
            minion.write("locks", there + lock_records(*names))

        return write

    def lift(*names):
        def write():
            text = (minion.root / "locks").read_text()
            for name in names:
                text = text.replace(lock_records(name), "")
            minion.write("locks", text)

        return write

    for name in (LOCK, f"{LP}>{ONE}", f"{LP}>{THREE}"):
        minion.programs.on(WRITE + ["addlock", name], then=add(name))
        minion.programs.on(WRITE + ["removelock", name], then=lift(name))
    minion.programs.on(WRITE + ["addlock", "--type", "patch", BRINGS_3], then=add(ADVISORY))
    minion.programs.on(WRITE + ["removelock", "--type", "patch", BRINGS_3], then=lift(ADVISORY))


@pytest.fixture
def host(minion):
    """A host at level 3 that can go back to 2."""
    has(minion, THREE, TWO)
    minion.rpm_qa({LP: THREE}, {LP: TWO})
    minion.live_patch(THIRD)
    minion.write("repos.d/a.repo", "[a]\n")
    minion.programs.on(SEARCH, recorded("zypper/search-live-patch.xml"))
    minion.programs.on(DRY + [f"{LP}={TWO}"], recorded("zypper/downgrade-live-patch.xml"))
    minion.programs.on(BACK + [f"{LP}={TWO}"], then=lambda: becomes(minion, SECOND), changes=True)
    minion.programs.on(READ + ["list-patches", "--all"], recorded("zypper/list-patches-went-back.xml"))
    minion.programs.on(WRITE + ["info", "--type", "patch", ...], recorded("zypper/info-patches-went-back.txt"))
    locking(minion)
    return minion


def becomes(minion, name):
    """The kernel takes another live patch."""
    for path in (minion.root / "sysfs").iterdir():
        path.rename(path.with_name(name))


def test_the_level_before_is_installed_and_held(host, programs):
    done = host.salt["klp.downgrade"]()
    assert done == {
        "changed": {LP: {"old": THREE, "new": TWO}},
        "notes": [f"held at {TWO}, newer ones come after: salt sles1 klp.release"],
    }
    hold = {"package": LP, "edition": TWO, "from": THREE, "since": 1_700_000_000, "locks": [LOCK, ADVISORY]}
    assert host.salt["klp.held"]() == hold
    assert host.salt["klp.unheld"]() == []
    assert stat.S_IMODE((host.root / "record" / "hold.json").stat().st_mode) == 0o600
    assert programs.started(*BACK) == [BACK + [f"{LP}={TWO}"]]
    assert host.salt["klp.target"]("latest") == TWO
    assert host.salt["klp.downgrade"]() == {"changed": {}, "notes": done["notes"]}
    assert len(programs.started(*BACK)) == 1


def test_the_record_is_there_before_the_package_changes(host, programs):
    seen = []
    programs.on(BACK + [f"{LP}={TWO}"], {"retcode": 8, "stdout": "stopped"}, then=lambda: seen.append(record(host)))
    with pytest.raises(CommandExecutionError, match="zypper install: exit 8"):
        host.salt["klp.downgrade"]()
    assert (seen[0]["edition"], seen[0]["from"], record(host, "unfinished")) == (TWO, THREE, {"edition": TWO})
    with pytest.raises(CommandExecutionError) as error:
        host.salt["klp.target"]("latest")
    assert str(error.value) == (
        f"going back from {THREE} to {TWO} was begun and is not finished; finish it with: salt sles1 klp.downgrade, "
        "or stay with: salt sles1 klp.release"
    )


def test_an_interrupted_way_back_installs_again_without_a_dry_run(host, programs):
    """Both editions are known to rpm after a kill: the scriptlets run again, and the older one is forced in."""
    has(host, f"{THREE},{TWO}", TWO)
    host.changed()
    held_at(host)
    force = BACK + ["--force", f"{LP}={TWO}"]
    programs.on(force, then=lambda: becomes(host, SECOND), changes=True)
    host.salt["klp.downgrade"]()
    assert programs.started(*BACK) == [force]
    assert record(host)["from"] == THREE


def test_one_step_at_a_time_lifts_the_lock_of_the_step_before(host, programs):
    has(host, TWO, ONE)
    host.rpm_qa({LP: TWO}, {LP: ONE})
    becomes(host, SECOND)
    held_at(host, locks=[LOCK, ADVISORY])
    host.write("record/locks.json", json.dumps([LOCK, ADVISORY]))
    host.write("locks", lock_records(LOCK, ADVISORY))
    host.changed()
    programs.on(DRY + [f"{LP}={ONE}"], recorded("zypper/downgrade-live-patch.xml"))
    programs.on(BACK + [f"{LP}={ONE}"], then=lambda: becomes(host, FIRST), changes=True)
    host.salt["klp.downgrade"](1)
    hold = record(host)
    assert (hold["edition"], hold["from"], hold["since"]) == (ONE, THREE, 1_700_000_000)
    assert hold["locks"] == [f"{LP}>{ONE}", ADVISORY]
    assert (host.root / "locks").read_text() == lock_records(ADVISORY, f"{LP}>{ONE}")


def test_a_hold_without_a_way_down(host, programs):
    """The level that is installed may be held as it is; the locks are all that changes."""
    host.salt["klp.downgrade"](3)
    assert (record(host)["edition"], programs.started(*BACK)) == (THREE, [])


@pytest.mark.parametrize("level", [TWO, 2])
def test_a_live_patch_that_the_kernel_lost_is_brought_in_again(host, programs, level):
    has(host, TWO)
    host.rpm_qa({LP: TWO})
    held_at(host)
    force = BACK + ["--force", f"{LP}={TWO}"]
    programs.on(force, then=lambda: becomes(host, SECOND), changes=True)
    assert host.salt["klp.downgrade"](level)["changed"] == {}
    assert programs.started(*BACK) == [force]


LEVELS = [
    # installed, held, level, edition
    (THREE, None, "previous", TWO),
    (THREE, None, 1, ONE),
    (THREE, None, TWO, TWO),
    (THREE, None, 3, THREE),
    (TWO, TWO, "previous", TWO),
    (TWO, TWO, 2, TWO),
    (TWO, TWO, 1, ONE),
    (THREE, TWO, "previous", TWO),
    (THREE, TWO, 2, TWO),
    (ONE, TWO, "previous", ONE),  # a restored root volume is older than where the host was held
]


@pytest.mark.parametrize(("installed", "held", "level", "edition"), LEVELS)
def test_what_a_level_means_on_the_way_back(host, installed, held, level, edition):
    has(host, installed)
    host.changed()
    if held:
        held_at(host, held)
    assert host.salt["klp.earlier"](level) == edition


REFUSED = [
    # installed, level, text
    (None, "previous", f"{LP} is not installed: there is nothing to go back from"),
    (ONE, "previous", f"live patch {ONE} is the first one of this kernel, there is none before it; klp.disable takes"),
    (ONE, 2, f"live patch {TWO} is above the installed {ONE}: klp.downgrade never goes forward; klp.install and"),
    (THREE, 9, f"live patch level 9 of {LP} is in no repository; there are: {THREE}, {TWO}, {ONE}"),
]


@pytest.mark.parametrize(("installed", "level", "text"), REFUSED)
def test_what_refuses_a_level(host, programs, installed, level, text):
    has(host, installed)
    host.changed()
    with pytest.raises(CommandExecutionError) as error:
        host.salt["klp.downgrade"](level)
    assert str(error.value).startswith(text)
    assert (record(host), programs.started(*BACK)) == (None, [])


@pytest.mark.parametrize(
    ("there", "has_"), [("search-live-patch.xml", f"{THREE}, {ONE}"), ("search-nothing.xml", "none")]
)
def test_no_repository_has_the_level_before(host, programs, there, has_):
    text = recorded(f"zypper/{there}").replace(TWO, THREE)
    programs.on(SEARCH, text.replace(ONE, THREE) if has_ != "none" else text)
    with pytest.raises(
        CommandExecutionError, match=f"no repository has a live patch below the installed {THREE}; has: "
    ):
        host.salt["klp.earlier"]()


@pytest.mark.parametrize("level", [0, "latest", None, True, "2-1\n"])
def test_a_level_of_another_form_is_the_mistake_of_the_caller(host, programs, level):
    with pytest.raises(SaltInvocationError, match="level: wanted previous, a number from 1 or an edition"):
        host.salt["klp.earlier"](level)
    assert programs.calls == []


def test_what_is_held_above_the_installed_is_no_way_back(host):
    has(host, ONE)
    host.changed()
    held_at(host)
    with pytest.raises(CommandExecutionError, match=f"live patch {TWO} is above the installed {ONE}"):
        host.salt["klp.earlier"](2)


def test_force_is_yes_or_no(host):
    with pytest.raises(SaltInvocationError, match="force: wanted true or false, found 'yes'"):
        host.salt["klp.downgrade"](force="yes")


def refused(host, match):
    with pytest.raises(CommandExecutionError, match=match):
        host.salt["klp.downgrade"]()
    assert (record(host), host.programs.started(*BACK)) == (None, [])


def test_obstacles_come_first(host):
    host.write("locks", lock_records(LP))
    refused(host, f"lock in line 2 of /etc/zypp/locks .* freezes {LP}")


def test_no_way_back_while_a_transition_runs(host):
    host.live_patch(THIRD, transition=1)
    refused(host, "a transition is still running: no second live patch is started; see klp.blockers")


def test_a_kernel_that_had_errors_is_left_alone_unless_forced(host):
    host.write("tainted", "512\n")
    refused(host, "the kernel has had errors since it was started.*taint W.*pillar klp:rollback:force")
    host.pillar["klp"] = {"rollback": {"force": True}}
    notes = host.salt["klp.downgrade"]()["notes"]
    assert notes[0] == "went on in spite of: taint W: the kernel issued a warning"


def test_a_kernel_log_that_cannot_be_read_is_no_go_ahead(host):
    (host.root / "kmsg").unlink()
    assert host.salt["klp.kernel_errors"]()[0].startswith("the kernel log cannot be read (")


@pytest.mark.parametrize("hold", [False, True])
def test_a_dry_run_with_more_in_it_is_refused(host, programs, hold):
    dry = recorded("zypper/downgrade-live-patch.xml").replace(
        "<to-downgrade>", '<to-downgrade><solvable type="package" name="curl" edition="1-1" arch="x86_64"/>'
    )
    programs.on(DRY + [f"{LP}={TWO}"], dry)
    if hold:
        has(host, THREE)
        held_at(host, THREE, locks=[f"{LP}>{THREE}"])
        for word in ("addlock", "removelock"):
            programs.on(
                WRITE + [word, f"{LP}>{THREE}"], then=lambda: host.write("locks", lock_records(f"{LP}>{THREE}"))
            )
    with pytest.raises(CommandExecutionError, match="would also downgrade curl-1-1: nothing was changed"):
        host.salt["klp.downgrade"](TWO)
    assert programs.started(*BACK) == []
    assert (record(host) or {}).get("edition") == (THREE if hold else None)


def test_a_dry_run_that_fails_leaves_the_host_held_as_it_was(host, programs):
    programs.on(DRY + [f"{LP}={TWO}"], {"retcode": 4, "stdout": "problem"})
    refused(host, "zypper install: exit 4")


def test_an_edition_that_stays_is_an_error(host, programs):
    has(host, THREE, f"{THREE},{TWO}")
    host.rpm_qa({LP: THREE}, {LP: f"{THREE},{TWO}"})
    with pytest.raises(CommandExecutionError, match=f"wanted {LP}={TWO}, {THREE} is still installed"):
        host.salt["klp.downgrade"]()


def test_a_replaced_copy_of_the_module_is_unloaded_first(host, programs):
    (host.root / "modules" / SECOND).mkdir(parents=True)
    programs.on(["rmmod", SECOND], {"retcode": 1, "stderr": "in use"})
    host.salt["klp.downgrade"]()
    assert programs.calls.index(["rmmod", SECOND]) < programs.calls.index(BACK + [f"{LP}={TWO}"])


def test_the_way_up_again_unloads_a_replaced_copy_too(host, programs):
    """Measured: down from 3, free, up again, and the kernel would stay where it was: the copy of 3 is still loaded."""
    has(host, TWO, THREE)
    host.rpm_qa({LP: TWO}, {LP: THREE})
    becomes(host, SECOND)
    (host.root / "modules" / THIRD).mkdir(parents=True)
    programs.on(["rmmod", THIRD])
    programs.on(["klp", "-v", "patches"], recorded("klp/lab-patches.txt"))
    programs.on(READ + ["install", "--dry-run", LP], recorded("zypper/install-live-patch.xml"))
    install = WRITE + ["install", LP]
    programs.on(install, then=lambda: becomes(host, THIRD), changes=True)
    host.salt["klp.install"]()
    assert programs.calls.index(["rmmod", THIRD]) < programs.calls.index(install)


def test_a_module_that_is_in_force_is_not_unloaded(host, programs):
    (host.root / "modules" / SECOND).mkdir(parents=True)
    host.live_patch(SECOND, enabled=0)
    host.programs.on(BACK + [f"{LP}={TWO}"], then=lambda: host.live_patch(SECOND), changes=True)
    host.salt["klp.downgrade"]()
    assert programs.started("rmmod") == []


def test_the_state_goes_back_once(host):
    state = host.states["klp"]
    host.opts["test"] = True
    predicted = state.rolled_back("x")
    assert (predicted["result"], host.programs.started(*BACK)) == (None, [])
    host.opts["test"] = False
    done = state.rolled_back("x")
    assert (done["result"], done["changes"]) == (True, predicted["changes"])
    assert done["changes"] == {
        "live patch": {"old": THREE, "new": TWO},
        "module": {"old": THIRD, "new": SECOND},
        "held at": {"old": None, "new": TWO},
    }
    assert f"Changed: live patch {TWO} is in the kernel, newer ones are held away" in done["comment"]
    again = state.rolled_back("x")
    assert (again["result"], again["changes"]) == (True, {})
    held = state.held("y")
    assert (held["result"], held["changes"]) == (True, {})


def test_the_state_goes_on_where_a_kill_stopped_it(host):
    has(host, f"{THREE},{TWO}", TWO)
    host.changed()
    held_at(host)
    host.programs.on(BACK + ["--force", f"{LP}={TWO}"], then=lambda: becomes(host, SECOND), changes=True)
    done = host.states["klp"].rolled_back("x")
    assert done["result"] is True
    assert done["changes"]["unfinished"] == {"old": True, "new": None}


def test_names_of_another_form_are_told(host, uname):
    assert host.salt["klp.module"](TWO) == SECOND
    has(host, TWO)
    host.programs.on(SEARCH, recorded("zypper/search-live-patch.xml").replace(THREE, "three-1"))
    with pytest.raises(CommandExecutionError, match="live patch edition 'three-1' does not begin with a level number"):
        host.salt["klp.find"](2)
    held_at(host, "two-1")
    with pytest.raises(CommandExecutionError, match="live patch edition 'two-1'"):
        host.salt["klp.earlier"](1)
