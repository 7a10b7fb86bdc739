"""Installing packages: by the command whose dry run was read; no kernel; rpm has the last word on what has ended."""

import pytest
from salt.exceptions import CommandExecutionError

import zypp_write
from tests.unit.conftest import LP
from tests.unit.hosts import LATER, dry, reads, record, remembers, rpm, writes, wrote
from tests.unit.loader import recorded

FORCED = ["install", "--auto-agree-with-licenses", "--force", "a=2-1", "pattern:lp_sles"]
OLDER = ["install", "--oldpackage", "--force", "a=1-1"]
UPGRADE = dry("upgrade", f"{LP}=3-150500.2.1")


def test_an_install_looks_before_and_after(minion, programs):
    rpm(minion, {LP: "1-1"}, {LP: "3-150500.2.1"})
    reads(minion, ["install", "--dry-run", LP], UPGRADE)
    writes(minion, ["install", LP], changes=True)
    assert minion.salt["zypper.install"]([LP]) == {"changed": {LP: {"old": "1-1", "new": "3-150500.2.1"}}, "notes": []}
    assert [argv[:2] + argv[-3:] for argv in programs.started("zypper")] == [
        ["zypper", "--non-interactive", "install", "--dry-run", LP],
        ["zypper", "--non-interactive", "--match-exact", "installhint(reboot-needed)", "kernel"],
        ["zypper", "--non-interactive", LATER, "install", LP],
    ]


def test_an_install_by_force_and_edition(minion):
    rpm(minion, {LP: "3-150500.2.1"})
    names = [f"{LP}=3", "pattern:lp_sles"]
    reads(minion, ["install", "--dry-run", "--force", *names], dry("reinstall", f"{LP}=3-150500.2.1"))
    writes(minion, ["install", "--force", *names], {"retcode": 107}, changes=True)
    assert minion.salt["zypper.install"](names, force=True) == {
        "changed": {},
        "notes": ["installed, but a scriptlet failed: zypper does not say of which package"],
    }


@pytest.mark.parametrize(
    ("wanted", "args"),
    [
        (FORCED, {"names": FORCED[3:], "force": True, "options": ["--auto-agree-with-licenses"]}),
        (OLDER, {"names": ["a=1-1"], "force": True, "older": True}),
        (["install", "a"], {"names": ["a"]}),
    ],
)
def test_what_is_run_is_what_was_tried(minion, programs, wanted, args):
    rpm(minion, {"a": "1-1,2-1"})
    reads(minion, ["install", ...], dry("upgrade", "a=2-1"))
    writes(minion, wanted)
    zypp_write.install(minion.host, **args)
    tried, hints, done = programs.started("zypper")
    assert "search" in hints
    assert [part for part in tried if part not in ("--dry-run", "--xmlout")] == [item for item in done if item != LATER]
    assert done[:3] == ["zypper", "--non-interactive", LATER] and tried[:3] == [*done[:2], "--xmlout"]


@pytest.mark.parametrize(
    ("name", "after", "message"),
    [
        (LP, {}, f"zypper install: wanted {LP} , found nothing"),
        (f"{LP}=3", {LP: "1-1"}, f"zypper install: wanted {LP} 3, found 1-1"),
    ],
)
def test_an_exit_code_of_zero_proves_nothing(minion, name, after, message):
    rpm(minion, after)
    reads(minion, ["install", "--dry-run", name], UPGRADE)
    writes(minion, ["install", name], changes=True)
    with pytest.raises(CommandExecutionError) as error:
        minion.salt["zypper.install"]([name])
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("sample", "told"),
    [
        ("install-kernel.xml", "install kernel-default-5.14.21-150500.55.12.1"),
        ("install-change-vendor.xml", "change the vendor of ven-2-1"),
    ],
)
def test_an_install_that_would_bring_what_is_forbidden_starts_nothing(minion, sample, told):
    rpm(minion, {})
    reads(minion, ["install", "--dry-run", "pattern:lp_sles"], recorded(f"zypper/{sample}"))
    with pytest.raises(CommandExecutionError) as error:
        minion.salt["zypper.install"](["pattern:lp_sles"])
    begin = f"zypper install: refused before anything was installed, because it would {told}; lock the kernel packages"
    assert str(error.value).startswith(begin) and wrote(minion, "install") == []


def test_an_install_is_refused_while_a_transition_runs(minion):
    rpm(minion, {"a": "1-1"})
    minion.live_patch("livepatch_2", transition=1)
    reads(minion, ["install", "--dry-run", "a=2-1"], dry("upgrade", "a=2-1"))
    with pytest.raises(CommandExecutionError, match="^a transition is still running: no second live patch is started"):
        minion.salt["zypper.install"](["a=2-1"])
    assert wrote(minion, "install") == [] and record("begun") == {}


def test_a_transition_that_begins_while_zypper_waits_stops_the_install(minion, programs):
    rpm(minion, {"a": "1-1"})
    reads(minion, ["install", "--dry-run", "a=2-1"], dry("upgrade", "a=2-1"))
    writes(minion, ["install", "a=2-1"], {"retcode": 7}, then=lambda: minion.live_patch("livepatch_2", transition=1))
    with pytest.raises(CommandExecutionError, match="^a transition is still running"):
        minion.salt["zypper.install"](["a=2-1"])
    assert len(wrote(minion, "install")) == 1 and minion.clock.slept == [2]
    assert programs.options[-2]["env"]["ZYPP_LOCK_TIMEOUT"] == "0"


@pytest.mark.parametrize(
    ("text", "names"), [(recorded("zypper/update-repository-skipped.txt"), "gone"), ("text", "unknown")]
)
def test_a_skipped_repository_is_an_error_although_zypper_went_on(minion, text, names):
    rpm(minion, {"curl": "1-1"}, {"curl": "2-1"})
    reads(minion, ["install", "--dry-run", "curl"], dry("upgrade", "curl=2-1"))
    writes(minion, ["install", "curl"], {"retcode": 106, "stdout": text}, changes=True)
    with pytest.raises(CommandExecutionError) as error:
        minion.salt["zypper.install"](["curl"])
    assert str(error.value) == f"zypper install: exit 106: repository {names} was skipped, what it has was not seen"
    assert record("begun") == {}  # it has ended all the same


def test_what_a_dry_run_brings_is_looked_at_right_before_the_install(minion):
    rpm(minion, {"a": "1-1"})
    reads(minion, ["install", "--dry-run", "a=2-1"], dry("upgrade", "a=2-1", "b=5-1"))

    def check(packages):
        assert packages == {"a": "2-1", "b": "5-1"}
        raise CommandExecutionError("not shown")

    with pytest.raises(CommandExecutionError, match="^not shown$"):
        zypp_write.install(minion.host, ["a=2-1"], check=check)
    assert wrote(minion, "install") == [] and record("begun") is None


# -- what was begun ----------------------------------------------------------------------------------------------------


def test_what_is_begun_is_recorded_before_zypper_starts(minion):
    rpm(minion, {"a": "1-1"}, {"a": "2-1"})
    seen = []
    reads(minion, ["install", "--dry-run", "a=2-1"], dry("upgrade", "a=2-1"))
    writes(minion, ["install", "a=2-1"], then=lambda: seen.append(record("begun")), changes=True)
    remembers(minion, "begun", {"z": "1-1"})
    minion.salt["zypper.install"](["a=2-1"])
    assert seen == [{"a": "2-1", "z": "1-1"}] and record("begun") == {"z": "1-1"}


@pytest.mark.parametrize(
    ("after", "left"),
    [
        ({"a": "2-1", "b": "1-1"}, {"a": "2-1"}),
        ({"a": "1-1,2-1", "b": "1-1"}, {"a": "2-1"}),
        ({"a": "1-1", "b": "1-1"}, {}),
    ],
    ids=["there", "twice", "not begun"],
)
def test_after_a_zypper_that_failed_only_what_is_there_may_have_been_cut_off(minion, after, left):
    rpm(minion, {"a": "1-1", "b": "1-1"}, after)
    reads(minion, ["install", "--dry-run", "a=2-1", "b=2-1"], dry("upgrade", "a=2-1", "b=2-1"))
    writes(minion, ["install", "a=2-1", "b=2-1"], {"retcode": 8}, changes=True)
    with pytest.raises(CommandExecutionError, match="exit 8"):
        minion.salt["zypper.install"](["a=2-1", "b=2-1"])
    assert record("begun") == left


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [({"retcode": -9}, "was killed by signal 9"), ({"retcode": 1, "stdout": "Timed out after 7200 seconds"}, "no end")],
)
def test_after_a_zypper_that_was_killed_all_of_it_may_be_cut_off(minion, answer, sentence):
    """Its rpm may go on by itself."""
    rpm(minion, {"a": "1-1"}, {"a": "1-1"})
    reads(minion, ["install", "--dry-run", "a=2-1"], dry("upgrade", "a=2-1"))
    writes(minion, ["install", "a=2-1"], answer, changes=True)
    with pytest.raises(CommandExecutionError, match=sentence):
        minion.salt["zypper.install"](["a=2-1"])
    assert record("begun") == {"a": "2-1"}


def test_a_package_that_is_there_twice_afterwards_has_not_ended(minion):
    rpm(minion, {"a": "1-1"}, {"a": "1-1,2-1"})
    reads(minion, ["install", "--dry-run", "a=2-1"], dry("upgrade", "a=2-1"))
    writes(minion, ["install", "a=2-1"], changes=True)
    minion.salt["zypper.install"](["a=2-1"])
    assert record("begun") == {"a": "2-1"}


def test_a_package_that_was_there_twice_is_mended(minion):
    """Measured: it is removed in one edition and upgraded from the other."""
    rpm(minion, {"slow": "1-1,2-1"}, {"slow": "2-1"})
    remembers(minion, "begun", {"slow": "2-1"})
    reads(minion, ["install", "--dry-run", "--force", "slow=2-1"], recorded("zypper/install-twice.xml"))
    writes(minion, ["install", "--force", "slow=2-1"], changes=True)
    changed = {"slow": {"old": "1-1,2-1", "new": "2-1"}}
    assert minion.salt["zypper.install"](["slow=2-1"], force=True) == {"changed": changed, "notes": []}
    assert record("begun") == {}


def test_a_package_that_is_installed_beside_an_older_one_has_ended(minion):
    """As kernels are, and what goes with them: ``multiversion(kernel)``."""
    name, new = "kernel-default-livepatch", "5.14.21-150500.55.12.1"
    rpm(minion, {name: "5.14.21-150500.55.7.1"}, {name: f"5.14.21-150500.55.7.1,{new}"})
    reads(minion, ["install", "--dry-run", f"{name}={new}"], dry("install", f"{name}={new}"))
    writes(minion, ["install", f"{name}={new}"], changes=True)
    minion.salt["zypper.install"]([f"{name}={new}"])
    assert record("begun") == {}


def test_a_package_with_an_epoch_is_known_by_what_rpm_is_asked_for(minion):
    """zypper wants the epoch, and finds nothing without it (measured)."""
    rpm(minion, {"ep": "1-1"}, {"ep": "2-1"})
    text = dry("upgrade", "ep=1:2-1")
    reads(minion, ["install", "--dry-run", "ep=1:2-1"], text)
    writes(minion, ["install", "ep=1:2-1"], changes=True)
    assert minion.salt["zypper.install"](["ep=1:2-1"])["changed"] == {"ep": {"old": "1-1", "new": "2-1"}}
    assert record("begun") == {}


def test_nothing_is_recorded_of_a_zypper_that_brings_nothing(minion):
    rpm(minion, {"a": "1-1"})
    reads(minion, ["install", "--dry-run", "a"], recorded("zypper/install-nothing.xml"))
    writes(minion, ["install", "a"])
    minion.salt["zypper.install"](["a"])
    assert record("begun") is None


def test_a_damaged_record_stops_an_install_before_zypper_starts(minion):
    rpm(minion, {"a": "1-1"})
    remembers(minion, "begun", ["a"])
    reads(minion, ["install", "--dry-run", "a=2-1"], dry("upgrade", "a=2-1"))
    with pytest.raises(CommandExecutionError, match="begun.json: not what salt-klp wrote; repair it or move it away$"):
        minion.salt["zypper.install"](["a=2-1"])
    assert wrote(minion, "install") == []


def test_what_asks_for_a_reboot_is_not_installed_without_permission(minion):
    """The edition that comes has the hint, that which is installed need not."""
    minion.asks_for_reboot("a=2-1")
    rpm(minion, {"a": "1-1"}, {"a": "2-1"})
    reads(minion, ["install", "--dry-run", "a"], dry("upgrade", "a=2-1"))
    writes(minion, ["install", "a"], changes=True)
    with pytest.raises(CommandExecutionError) as error:
        minion.salt["zypper.install"](["a"])
    assert str(error.value) == (
        "zypper install: refused before anything was installed, because it would upgrade a-2-1 (asks for a reboot); "
        "if this host may be restarted, install it by hand with zypper"
    )
    assert wrote(minion) == []
    zypp_write.install(minion.host, ["a"], allow_reboot=True)
    assert wrote(minion) == [["install", "a"]]
