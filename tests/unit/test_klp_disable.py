"""The end of live patching: what is taken away in which order, what stays, and what is said about it."""

import shutil

import pytest
from salt.exceptions import CommandExecutionError, SaltInvocationError

import klp_disable
import klp_paths
from tests.unit.conftest import KERNEL, LP
from tests.unit.hosts import (
    LIFECYCLE,
    THREE,
    TOOLS,
    another_run,
    lock_file,
    lock_records,
    record,
    wrote,
)
from tests.unit.patched import LOCKS, MODULE, Host

OTHER_LP, META = LP.replace("55_7", "55_12"), "kernel-default-livepatch"
OTHER = KERNEL.replace("55.7", "55.12")
CLEAN = f"a reboot into {KERNEL} comes up without a live patch: its initrd holds none"
FREE = "ordinary patching (zypper patch) may bring a new kernel from now on; it runs after a reboot"
STAYS = f"{MODULE} stays in the kernel until the next reboot; "
GONE = f"{STAYS}what it fixes is not known: its package is gone"


@pytest.fixture
def host(minion):
    """A host that is live patched at level 3, with two locks of ours."""
    return Host(minion)


# -- what is left -----------------------------------------------------------------------------------------------------


def test_everything_of_live_patching_remains(host, programs):
    found = {"packages": {LP: THREE, TOOLS: "1.4-1"}, "locks": LOCKS, "held": None}
    assert host.leftovers() == found
    assert programs.started("zypper") == []
    assert host.leftovers(check=True) == found
    assert programs.started("zypper") == [["zypper", "--non-interactive", "--xmlout", "remove", "--dry-run", LP, TOOLS]]


def test_live_patches_of_all_kernels_and_the_metapackage_remain(host):
    host.packages.update({OTHER_LP: "1-1", META: "5-1", f"{META}-devel": "5-1", "kernel-livepatch-tools-devel": "1-1"})
    assert set(host.leftovers()["packages"]) == {LP, OTHER_LP, META, TOOLS}


def test_the_pattern_of_the_family_and_that_of_pillar_remain(host):
    """SUSE's guide installs the pattern, and it cannot stay without the tools."""
    host.packages.update({LIFECYCLE: "1-1", "patterns-lp": "1-1", "patterns-mine": "1-1", "patterns-x": "1-1"})
    provides = [
        f"patterns-{name}\tpattern() = {what}\n" for name, what in (("lp", "lp_sles"), ("mine", "mine"), ("x", "x"))
    ]
    host.minion.programs.on(["rpm", "-q", "--whatprovides", ...], "".join(provides))
    assert set(host.leftovers()["packages"]) == {LP, TOOLS, LIFECYCLE, "patterns-lp"}
    host.minion.pillar["klp"]["tools"] = {"pattern": "mine"}
    assert set(host.leftovers()["packages"]) == {LP, TOOLS, LIFECYCLE, "patterns-lp", "patterns-mine"}
    host.disable["tools"] = False
    assert set(host.leftovers()["packages"]) == {LP}


@pytest.mark.parametrize(
    ("disable", "found"),
    [
        ({"tools": False}, {"packages": {LP: THREE}, "locks": LOCKS, "held": "2-1"}),
        ({"live_patches": False}, {"packages": {TOOLS: "1.4-1"}, "locks": LOCKS, "held": None}),
        ({"locks": False}, {"packages": {LP: THREE, TOOLS: "1.4-1"}, "locks": [], "held": "2-1"}),
        ({"tools": False, "live_patches": False, "locks": False}, {"packages": {}, "locks": [], "held": None}),
    ],
)
def test_pillar_says_what_remains(host, disable, found):
    host.disable.update(disable)
    host.hold()
    assert host.leftovers() == found


def test_only_locks_of_live_patching_remain(host):
    names = ["kernel-default", "curl", "shim", f"{LP}>2-1", "kernel-syms"]
    host.lock(*names, ours=names[:-1])
    host.minion.pillar["klp"]["locks"] = {"extra": ["shim"]}
    assert host.leftovers()["locks"] == ["kernel-default", "shim"]


def test_without_a_record_no_lock_is_ours(host):
    host.lock(*LOCKS, ours=[])
    assert host.leftovers()["locks"] == []


def test_a_wrong_pillar_is_refused(host, programs):
    host.disable["locks"] = "no"
    for call in (host.leftovers, host.end):
        with pytest.raises(SaltInvocationError, match="pillar klp:disable:locks: wanted true or false, found 'no'"):
            call()
    assert programs.calls == []


def test_a_transition_refuses_before_anything_is_done(host):
    host.minion.live_patch("livepatch_4", transition=1)
    text = "^a transition is still running: nothing is taken away; see klp.blockers$"
    for call in (lambda: host.leftovers(check=True), host.end):
        with pytest.raises(CommandExecutionError, match=text):
            call()
    assert (host.dry_runs(), wrote(host.minion)) == ([], [])
    host.disable.update(tools=False, live_patches=False, locks=False)
    assert host.leftovers(check=True) == {"packages": {}, "locks": [], "held": None}


def test_locks_alone_need_no_dry_run(host):
    host.disable.update(tools=False, live_patches=False)
    assert host.leftovers(check=True)["locks"] == LOCKS
    assert host.dry_runs() == []


# -- disable -----------------------------------------------------------------------------------------------------------


def test_packages_go_first_and_locks_last(host):
    host.hold()
    host.lock(*LOCKS, f"{LP}>2-1", f"{LP}>1-1", ours=[*LOCKS, f"{LP}>2-1"])
    answer = host.end()
    assert wrote(host.minion) == [["remove", LP, TOOLS], ["removelock", f"{LP}>2-1"], ["removelock", *LOCKS]]
    assert answer["changed"] == {
        LP: {"old": THREE, "new": None},
        TOOLS: {"old": "1.4-1", "new": None},
        "held": {"old": "2-1", "new": None},
        "locked": {"old": LOCKS, "new": []},
    }
    scriptlet, other, *rest = answer["notes"]
    assert scriptlet == "removed, but a scriptlet failed: tools-1.4-1.x86_64"
    assert other.startswith("still there: lock in line ") and f"({LP}; version > 1-1)" in other
    assert rest == [f"{STAYS}it fixes CVE-2023-2002, CVE-2023-3090", CLEAN, FREE]
    assert (record("locks"), record("hold")) == ([], {})


def test_a_disabled_host_is_left_alone(host):
    host.end()
    before = len(wrote(host.minion))
    assert host.end() == {"changed": {}, "notes": [GONE, CLEAN]}
    assert len(wrote(host.minion)) == before


def test_locks_alone_are_taken_away(host):
    host.disable.update(tools=False, live_patches=False)
    answer = host.end()
    assert answer == {"changed": {"locked": {"old": LOCKS, "new": []}}, "notes": [FREE]}
    assert wrote(host.minion) == [["removelock", *LOCKS]]


def test_packages_alone_leave_the_locks(host):
    host.disable["locks"] = False
    answer = host.end()
    assert [args[0] for args in wrote(host.minion)] == ["remove"]
    assert answer["notes"][-1] == (
        "still locked, by others or because pillar klp:disable:locks is false: kernel-default, kernel-macros; "
        "ordinary patching leaves them alone"
    )
    assert (record("locks"), lock_file()) == (LOCKS, lock_records(*LOCKS))


def test_a_run_that_was_cut_off_is_finished(host):
    host.packages.pop(LP)
    answer = host.end()
    assert [args[0] for args in wrote(host.minion)] == ["remove", "removelock"]
    assert GONE in answer["notes"]


# -- a kill between zypper and the record of our locks ----------------------------------------------------------------


def kill_after(minion, word):
    """Let a zypper do its work, and then the run be killed."""

    class Killed(BaseException):
        pass

    for number, (argv, answers, _, changes) in enumerate(minion.programs.script):
        if word in argv and "--dry-run" not in argv:

            def kill():
                raise Killed

            minion.programs.script[number] = (argv, answers, kill, changes)
    return Killed


@pytest.mark.parametrize("other", [[], ["curl"]])
def test_the_record_is_right_after_a_kill_between_removelock_and_its_record(host, other):
    host.lock(*LOCKS, *other)
    script = list(host.minion.programs.script)
    with pytest.raises(kill_after(host.minion, "removelock")):
        host.end()
    assert (record("locks"), lock_file()) == (sorted([*LOCKS, *other]), lock_records(*other))
    host.minion.programs.script[:] = script
    assert host.end() == {"changed": {}, "notes": [GONE, CLEAN]}
    assert record("locks") == other
    host.minion.file(klp_paths.LOCKS, lock_records("kernel-default"))  # by somebody else
    assert host.leftovers()["locks"] == []


def test_the_record_is_right_too_where_packages_came_back_after_the_kill(host):
    host.lock(ours=LOCKS)
    host.end()
    assert (record("locks"), wrote(host.minion)) == ([], [["remove", LP, TOOLS]])


def test_the_record_of_locks_stays_where_pillar_leaves_locks_alone(host):
    host.disable.update(tools=False, live_patches=False, locks=False)
    host.lock(ours=LOCKS)
    host.end()
    assert record("locks") == LOCKS


def test_no_lock_is_forgotten_while_another_run_is_adding_it(host):
    """A lock is recorded before zypper makes it."""
    host.end()
    host.lock(ours=LOCKS)
    with another_run("zypper.add_locks"), pytest.raises(CommandExecutionError, match="zypper.add_locks"):
        klp_disable.forget_gone_locks(host.minion.host)
    assert record("locks") == LOCKS


def test_what_stays_beside_the_live_patch_is_told(host):
    host.lock("kernel-default", "kernel-macros", "curl", ours=["curl", "kernel-default"])
    host.minion.file(f"{klp_paths.PRODUCTS}/sle-module-live-patching.prod", "")
    notes = host.end()["notes"]
    assert notes[-3].startswith("still locked, by others or because") and ": kernel-macros; " in notes[-3]
    assert notes[-2] == "locks made here on other packages stay: curl; zypper.remove_locks takes them away"
    assert notes[-1] == (
        "the product sle-module-live-patching stays activated and may bring a live patch with the next kernel; to give "
        "it back: SUSEConnect --de-register --product NAME/VERSION/ARCH, as SUSEConnect --list-extensions shows it"
    )


@pytest.mark.parametrize("enabled", [0, 1])
def test_an_unknown_kernel_can_be_disabled_and_has_no_locks_to_look_at(host, uname, enabled):
    uname("6.1.0")
    host.minion.live_patch(MODULE, enabled=enabled)
    host.initrd("6.1.0")
    loaded = [GONE, "a reboot into 6.1.0 comes up without a live patch: its initrd holds none"]
    notes = host.end()["notes"][1:]
    assert sorted(notes) == sorted((loaded if enabled else []) + [CLEAN, FREE])


def test_a_kernel_without_live_patching_can_be_disabled(host):
    shutil.rmtree(klp_paths.LIVEPATCH)
    unseen = f"whether a live patch is loaded is not known: {klp_paths.LIVEPATCH} is not there"
    assert host.end()["notes"][1:] == [unseen, CLEAN, FREE]


# -- what the live patch fixes -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (f"{MODULE}\n    active: 1\n    CVE: CVE-2023-2002 CVE-2023-1077\n", "it fixes CVE-2023-1077, CVE-2023-2002"),
        (f"{MODULE}\n    active: 1\n    CVE: (none - this is an initial kernel live patch)\n", "it fixes no CVE"),
        ("livepatch_9\n    active: 1\n", "what it fixes is not known: klp does not name it"),
        ("what\tis this", "what it fixes is not known: klp -v patches: unknown line 'what\\tis this'"),
    ],
)
def test_klp_says_what_the_live_patch_fixes_before_it_goes(host, programs, answer, told):
    programs.on(["klp", "-v", "patches"], answer)
    assert STAYS + told in host.end()["notes"]


def test_a_host_without_klp_does_not_know_what_the_live_patch_fixes(host, paths):
    paths.discard("klp")
    assert f"{STAYS}what it fixes is not known: klp is not installed" in host.end()["notes"]


# -- after the reboot --------------------------------------------------------------------------------------------------


def test_of_a_live_patch_whose_package_is_there_nothing_is_said(host, programs):
    assert host.still_loaded() == []
    assert {argv[0] for argv in programs.calls} == {"rpm"}


def test_an_initrd_that_holds_the_live_patch_is_told(host):
    del host.packages[LP]
    path = host.initrd(KERNEL, "livepatch-3-150500_2_1")
    again = f"a reboot into {KERNEL} loads {MODULE} again, its initrd still holds it"
    assert host.still_loaded() == [GONE, f"{again}; make a new one with: dracut --force {path} {KERNEL}"]


def test_initrds_of_other_kernels_are_looked_at(host):
    host.packages[OTHER_LP] = host.packages[LP.replace("55_7", "55_19")] = "1-1"
    path = host.initrd(OTHER, "livepatch-1-150500_9_3_1")
    notes = host.end()["notes"]
    again = f"a reboot into {OTHER} loads livepatch_1_150500_9_3_1 again, its initrd still holds it"
    assert [note for note in notes if "reboot into" in note] == [
        f"{again}; make a new one with: dracut --force {path} {OTHER}",
        CLEAN,
    ]


def unknown(host, reason):
    """Return whether it is said that the next boot is not known, and why."""
    del host.packages[LP]
    return host.still_loaded()[1] == f"whether a reboot into {KERNEL} loads a live patch is not known: {reason}"


def test_an_initrd_that_pillar_leaves_alone_is_not_known(host):
    host.minion.pillar["klp"]["verify"] = {"initrd": False}
    assert unknown(host, "pillar klp:verify:initrd is false")


def test_without_lsinitrd_the_initrd_is_not_known(host, paths):
    paths.discard("lsinitrd")
    assert unknown(host, "this host has no lsinitrd")


def test_an_initrd_that_cannot_be_read_is_not_known(host, programs):
    path = f"{klp_paths.BOOT}/initrd-{KERNEL}"
    programs.on(["lsinitrd", path], {"retcode": 1, "stderr": "no such file"})
    assert unknown(host, f"lsinitrd {path}: exit 1: no such file")


def test_an_answer_of_lsinitrd_of_another_form_is_not_known(host, programs):
    path = f"{klp_paths.BOOT}/initrd-{KERNEL}"
    programs.on(["lsinitrd", path], "huh\n")
    assert unknown(host, f"lsinitrd {path}: names no dracut modules: 'huh'")
