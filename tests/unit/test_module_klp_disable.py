"""The end of live patching: what is taken away in which order, what stays, and what is said about it."""

import os

import pytest
from salt.exceptions import CommandExecutionError, SaltInvocationError

from tests.unit.conftest import KERNEL, LP

TOOLS, THREE, MODULE = "kernel-livepatch-tools", "3-150500.2.1", "livepatch_3_150500_2_1"
OTHER_LP, META = LP.replace("55_7", "55_12"), "kernel-default-livepatch"
OTHER = KERNEL.replace("55.7", "55.12")
PACKAGES = {"bash": "1-1", "kernel-default": "5.14.21-150500.55.7.1", LP: THREE, TOOLS: "1.4-1"}
LOCKS = ["kernel-default", "kernel-macros"]
CLEAN = f"a reboot into {KERNEL} comes up without a live patch: its initrd holds none"
FREE = "ordinary patching (zypper patch) may bring a new kernel from now on; it runs after a reboot"
STAYS = f"{MODULE} stays in the kernel until the next reboot; "
GONE = f"{STAYS}what it fixes is not known: its package is gone"
KLP = f"{MODULE}\n    active: 1\n    RPM: {LP}-{THREE}.x86_64\n    CVE: CVE-2023-3090 CVE-2023-2002\n"


class Host:
    """A host with live patching; other modules are stand-ins that act on it and remember their calls."""

    def __init__(self, minion):
        self.minion, self.packages, self.calls = minion, dict(PACKAGES), []
        self.locks, self.hold = list(LOCKS), None
        self.disable: dict = {}
        self.module = minion.modules["klp_disable"]
        self.module.SYSFS = str(minion.root / "sysfs")
        self.module.BOOT, self.module.PRODUCTS = str(minion.root / "boot"), str(minion.root / "products.d")
        minion.pillar["klp"] = {"disable": self.disable}
        minion.utils["klp_record.write"]("locks", LOCKS)
        fake = {
            "zypper.packages": lambda: dict(self.packages),
            "zypper.removal": self.act("removal", lambda names: None),
            "zypper.remove": self.act("remove", self.removed),
            "zypper.own_locks": lambda names: [name for name in self.locks if name in names],
            "zypper.remove_locks": self.act("remove_locks", lambda names: self.locks.clear()),
            "zypper.locked": lambda names: [name for name in self.locks if name in names],
            "zypper.providers": lambda capability: {"pattern() = lp_sles": ["patterns-lp"]}[capability],
            "klp.held": lambda: self.hold,
            "klp.release": self.act("release", self.released),
        }
        minion.salt.update(fake)
        minion.live_patch(MODULE)
        minion.programs.on(["klp", "-v", "patches"], KLP)
        self.initrd(KERNEL)

    def act(self, name, function):
        def call(*args):
            self.calls.append((name, *args))
            return function(*args)

        return call

    def removed(self, names):
        for name in names:
            del self.packages[name]
        return {"changed": {}, "notes": ["removed, but a scriptlet failed: x"]}

    def released(self):
        self.hold = None
        return {"released": "2-1", "locks": [], "notes": ["still there: lock"]}

    def initrd(self, kernel, *modules):
        """Write an initrd that lsinitrd lists so."""
        path = self.minion.write(f"boot/initrd-{kernel}", "")
        files = [f"-rw-r--r-- 1 root root 9 lib/modules/{kernel}/livepatch/{name}.ko\n" for name in modules]
        text = "dracut modules:\nbash\n" + "".join(files)
        self.minion.programs.on(["lsinitrd", path], text)
        return path

    def remains(self, **kwargs):
        return self.minion.salt["klp.remains"](**kwargs)

    def end(self):
        return self.minion.salt["klp.disable"]()

    def aftermath(self):
        return self.minion.salt["klp.aftermath"]()


@pytest.fixture
def host(minion):
    """A host that is live patched at level 3, with two locks of ours."""
    return Host(minion)


# -- what remains ------------------------------------------------------------------------------------------------------


def test_everything_of_live_patching_remains(host, programs):
    found = {"packages": {LP: THREE, TOOLS: "1.4-1"}, "locks": LOCKS, "held": None}
    assert host.remains() == found
    assert (host.calls, programs.calls) == ([], [])
    assert host.remains(check=True) == found
    assert host.calls == [("removal", [LP, TOOLS])]


def test_live_patches_of_all_kernels_and_the_metapackage_remain(host):
    host.packages.update({OTHER_LP: "1-1", META: "5-1", f"{META}-devel": "5-1", "kernel-livepatch-tools-devel": "1-1"})
    assert set(host.remains()["packages"]) == {LP, OTHER_LP, META, TOOLS}


def test_the_package_of_the_pattern_remains_where_pillar_names_it(host):
    host.packages["patterns-lp"] = "1-1"
    assert "patterns-lp" not in host.remains()["packages"]
    host.minion.pillar["klp"]["tools"] = {"pattern": "lp_sles"}
    assert host.remains()["packages"]["patterns-lp"] == "1-1"


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
    host.hold = {"edition": "2-1"}
    assert host.remains() == found


def test_only_locks_of_live_patching_remain(host):
    host.locks = ["kernel-default", "curl", "shim", f"{LP}>2-1", "kernel-syms"]
    host.minion.utils["klp_record.write"]("locks", host.locks[:-1])
    host.minion.pillar["klp"]["locks"] = {"extra": ["shim"]}
    assert host.remains()["locks"] == ["kernel-default", "shim"]


def test_nothing_is_held_where_nothing_can_hold(host):
    del host.minion.salt["klp.release"], host.minion.salt["klp.held"]
    assert host.remains()["held"] is None


def test_without_a_record_no_lock_is_ours(host):
    host.minion.utils["klp_record.write"]("locks", [])
    assert host.remains()["locks"] == []


def test_a_wrong_pillar_is_refused(host, programs):
    host.disable["locks"] = "no"
    for name in ("klp.remains", "klp.disable"):
        with pytest.raises(SaltInvocationError, match="pillar klp:disable:locks: wanted true or false, found 'no'"):
            host.minion.salt[name]()
    assert (host.calls, programs.calls) == ([], [])


def test_a_transition_refuses_before_anything_is_done(host):
    host.minion.live_patch("livepatch_4", transition=1)
    text = "^a transition is still running: nothing is taken away; see klp.blockers$"
    for call in (lambda: host.remains(check=True), host.end):
        with pytest.raises(CommandExecutionError, match=text):
            call()
    assert host.calls == []
    host.disable.update(tools=False, live_patches=False, locks=False)
    assert host.remains(check=True) == {"packages": {}, "locks": [], "held": None}


def test_locks_alone_need_no_dry_run(host):
    host.disable.update(tools=False, live_patches=False)
    assert host.remains(check=True)["locks"] == LOCKS
    assert host.calls == []


# -- disable -----------------------------------------------------------------------------------------------------------


def test_packages_go_first_and_locks_last(host):
    host.hold = {"edition": "2-1"}
    answer = host.end()
    assert host.calls == [("remove", [LP, TOOLS]), ("release",), ("remove_locks", LOCKS)]
    assert answer["changed"] == {
        LP: {"old": THREE, "new": None},
        TOOLS: {"old": "1.4-1", "new": None},
        "held": {"old": "2-1", "new": None},
        "locked": {"old": LOCKS, "new": []},
    }
    stays = f"{STAYS}it fixes CVE-2023-2002, CVE-2023-3090"
    assert answer["notes"] == ["removed, but a scriptlet failed: x", "still there: lock", stays, CLEAN, FREE]


def test_a_disabled_host_is_left_alone(host):
    host.end()
    host.calls.clear()
    assert host.end() == {"changed": {}, "notes": [GONE, CLEAN]}
    assert host.calls == []


def test_locks_alone_are_taken_away(host):
    host.disable.update(tools=False, live_patches=False)
    answer = host.end()
    assert answer == {"changed": {"locked": {"old": LOCKS, "new": []}}, "notes": [FREE]}
    assert host.calls == [("remove_locks", LOCKS)]


def test_packages_alone_leave_the_locks(host):
    host.disable["locks"] = False
    answer = host.end()
    assert [call[0] for call in host.calls] == ["remove"]
    assert answer["notes"][-1] == (
        "still locked, by others or because pillar klp:disable:locks is false: kernel-default, kernel-macros; "
        "ordinary patching leaves them alone"
    )


def test_a_run_that_was_cut_off_is_finished(host):
    host.packages.pop(LP)
    answer = host.end()
    assert [call[0] for call in host.calls] == ["remove", "remove_locks"]
    assert GONE in answer["notes"]


def test_what_stays_beside_the_live_patch_is_told(host, uname):
    host.locks.append("curl")
    host.minion.utils["klp_record.write"]("locks", host.locks)
    host.minion.salt["zypper.remove_locks"] = lambda names: host.locks.remove("kernel-default")
    host.minion.write("products.d/sle-module-live-patching.prod", "")
    notes = host.end()["notes"]
    assert notes[-3].startswith("still locked, by others or because")
    assert notes[-2] == "locks made here on other packages stay: curl; zypper.remove_locks takes them away"
    assert notes[-1] == (
        "the product sle-module-live-patching stays activated and may bring a live patch with the next kernel; to give "
        "it back: SUSEConnect --de-register --product NAME/VERSION/ARCH, as SUSEConnect --list-extensions shows it"
    )


def test_an_unknown_kernel_can_be_disabled_and_has_no_locks_to_look_at(host, uname):
    uname("6.1.0")
    (host.minion.root / "sysfs" / MODULE / "enabled").write_text("0\n")
    assert host.end()["notes"][1:] == [CLEAN, FREE]


def test_a_kernel_without_live_patching_can_be_disabled(host):
    host.module.SYSFS = str(host.minion.root / "none")
    assert host.end()["notes"][1:] == [CLEAN, FREE]


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


def test_a_live_patch_whose_package_is_there_has_no_aftermath(host, programs):
    assert host.aftermath() == []
    assert programs.calls == []


def test_an_initrd_that_holds_the_live_patch_is_told(host):
    del host.packages[LP]
    path = host.initrd(KERNEL, "livepatch-3-150500_2_1")
    again = f"a reboot into {KERNEL} loads {MODULE} again, its initrd still holds it"
    assert host.aftermath() == [GONE, f"{again}; make a new one with: dracut --force {path} {KERNEL}"]


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
    return host.aftermath()[1] == f"whether a reboot into {KERNEL} loads a live patch is not known: {reason}"


def test_an_initrd_that_pillar_leaves_alone_is_not_known(host):
    host.minion.pillar["klp"]["verify"] = {"initrd": False}
    assert unknown(host, "pillar klp:verify:initrd is false")


def test_without_lsinitrd_the_initrd_is_not_known(host, paths):
    paths.discard("lsinitrd")
    assert unknown(host, "this host has no lsinitrd")


def test_an_initrd_that_cannot_be_read_is_not_known(host, programs):
    path = os.path.join(host.module.BOOT, f"initrd-{KERNEL}")
    programs.on(["lsinitrd", path], {"retcode": 1, "stderr": "no such file"})
    assert unknown(host, f"lsinitrd {path}: exit 1: no such file")


def test_an_answer_of_lsinitrd_that_nobody_knows_is_not_known(host, programs):
    path = os.path.join(host.module.BOOT, f"initrd-{KERNEL}")
    programs.on(["lsinitrd", path], "huh\n")
    assert unknown(host, f"lsinitrd {path}: names no dracut modules: 'huh'")


# -- the loader --------------------------------------------------------------------------------------------------------


def test_the_file_is_loaded_where_zypper_is(minion, paths):
    module = minion.modules["klp_disable"]
    assert module.__virtual__() == "klp"
    paths.discard("zypper")
    assert module.__virtual__() == (False, "klp: command zypper not found, this is not a SUSE host")
    del minion.utils["klp_checks.verdict"]
    assert "run saltutil.sync_all" in module.__virtual__()[1]
