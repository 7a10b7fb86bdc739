"""From a new host to its first maintenance and over a reboot, on a kernel that is truly patched while it runs."""

import itertools
import re

import pytest

from tests.lab.packages import KERNEL, LIVE_PATCH

FIRST, THIRD = "1-150500.9.3.1", "3-150500.2.1"
UPDATED = {"curl", "libopenssl1_1", "libz1", "libzypp", "nfs-client"}
SEEN = "uname -r; cat /proc/sys/kernel/random/boot_id /proc/version"


def names(packages):
    """Return the names of packages that are given as NAME-VERSION-RELEASE.ARCH."""
    return {package.rsplit("-", 2)[0] for package in packages}


class Story:
    """What was seen on one host, step by step."""

    def __init__(self, guest):
        self.guest = guest
        self.kernels, self.versions, self.packages, self.answers, self.ticks = {}, {}, {}, {}, {}

    def look(self, when):
        """Read what tells one moment from another."""
        self.kernels[when], self.versions[when] = self.guest.kernel(), self.guest.version()
        self.packages[when] = self.guest.packages()
        self.guest.salt("cmd.run", SEEN)


@pytest.fixture(scope="module")
def story(boot, declare, step):
    """The whole story, told once: ``klp`` at level 1, ``klp.patch`` to the newest, both again."""
    guest = boot("fresh", level=1)
    story = Story(guest)
    counter = guest.start_counter()
    story.look("new")
    with step("salt sles1 state.apply klp"):
        story.answers["klp"] = guest.salt("state.apply", "klp")
    story.look("enabled")
    declare(guest, level="latest")
    guest.salt("saltutil.refresh_pillar", "wait=True")
    with step("state.apply klp.patch test=True"):
        story.answers["predicted"] = guest.salt("state.apply", "klp.patch", "test=True")
    story.look("predicted")
    for name in ("klp.patch", "klp.patch again", "klp again"):
        with step(f"state.apply {name}"):
            story.answers[name] = guest.salt("state.apply", name.split()[0])
        story.look(name)
    guest.salt("klp.patches")
    story.answers["verify"] = guest.salt("klp.verify")
    assert guest.show_unit("counter", "MainPID") == counter
    story.ticks = guest.ticks()
    times = [seconds for _, seconds in story.ticks]
    pause = max(after - before for before, after in itertools.pairwise(times))
    said = f"{len(times)} numbers in {times[-1] - times[0]:.0f} s, the longest pause {pause:.2f} s"
    guest.transcript.append(f"counter, process {counter} from first to last: {said}")
    return story


@pytest.mark.parametrize("name", ["klp", "klp.patch", "klp.patch again", "klp again"])
def test_every_state_succeeds(story, name):
    answer = story.answers[name]
    assert answer.failed == {}
    assert answer.rc == 0


def test_the_kernel_is_patched_while_it_runs(story):
    assert story.versions == {
        "new": "",
        "enabled": "",
        "predicted": "",
        "klp.patch": "lp-3",
        "klp.patch again": "lp-3",
        "klp again": "lp-3",
    }
    assert {kernel["uname"] for kernel in story.kernels.values()} == {KERNEL}
    assert len({kernel["boot"] for kernel in story.kernels.values()}) == 1


def test_a_running_program_counts_on(story):
    numbers = [number for number, _ in story.ticks]
    assert numbers == list(range(len(numbers)))
    assert story.ticks[-1][1] - story.ticks[0][1] > 20


def test_packages_are_those_that_were_promised(story):
    assert names(set(story.packages["enabled"]) - set(story.packages["new"])) == {
        LIVE_PATCH,
        "kernel-livepatch-tools",
        "lifecycle-data-sle-module-live-patching",
    }
    assert names(set(story.packages["klp.patch"]) - set(story.packages["enabled"])) == UPDATED | {LIVE_PATCH}
    assert f"{LIVE_PATCH}-{FIRST}.x86_64" in story.packages["enabled"]
    assert f"{LIVE_PATCH}-{THIRD}.x86_64" in story.packages["klp.patch"]
    kernels = [[name for name in found if name.startswith("kernel-default-")] for found in story.packages.values()]
    assert kernels == [["kernel-default-5.14.21-150500.55.7.1.x86_64"]] * len(kernels)


def test_the_prediction_was_true_and_changed_nothing(story):
    predicted, done = story.answers["predicted"], story.answers["klp.patch"]
    assert story.packages["predicted"] == story.packages["enabled"]
    updates = predicted.changes["klp-updates"]
    assert predicted.results["klp-updates"] is None and updates == done.changes["klp-updates"]
    assert predicted.results["klp-newest"] is None and done.results["klp-newest"] is True
    assert predicted.changes["klp-newest"]["live patch"] == updates[LIVE_PATCH] == {"old": FIRST, "new": THIRD}


def test_once_converged_nothing_changes(story):
    assert story.answers["klp.patch again"].changes == {}
    assert story.answers["klp again"].changes == {}
    assert story.packages["klp again"] == story.packages["klp.patch"]


def test_verify_says_ok(story):
    found = story.answers["verify"].data
    assert found["verdict"] == "ok"
    assert found["live_patch"] == THIRD
    verdicts = {check["check"]: check["verdict"] for check in found["checks"]}
    assert verdicts.pop("uname") == "skipped"  # Debian's uname -v has no build hash
    assert set(verdicts.values()) == {"ok"}


def test_zypper_ran_in_a_scope_of_its_own(story):
    journal = story.guest.machine.ask("sh", "-c", "journalctl --no-pager | grep -E 'scope|zypper' || :")
    assert re.search(r"Started run-\S+\.scope - /usr/bin/zypper (--\S+ )+install ", journal), journal


def test_each_run_has_one_snapshot(story):
    runs = story.guest.runs()
    assert [(run["backup"], run["run"]) for run in runs] == story.guest.snapshots()
    assert len(runs) == 2 and all(run["finished"] for run in runs)


@pytest.mark.parametrize(("number", "moment"), [(0, "new"), (1, "enabled")])
def test_the_snapshot_is_the_host_before_the_first_change(story, number, moment):
    backup, ask = story.guest.runs()[number]["backup"], story.guest.machine.ask
    point = f"/mnt/{backup}"
    ask("mkdir", "-p", point)
    ask("mount", "-o", f"ro,subvol=@/.snapshots/{backup}/snapshot", "/dev/vda", point)
    database = f"{point}/usr/lib/sysimage/rpm"
    ask("cp", "-a", database, f"/tmp/rpm-{backup}")  # rpm wants to write beside a database that it reads
    assert sorted(ask("rpm", "-qa", "--dbpath", f"/tmp/rpm-{backup}").split()) == story.packages[moment]
    ask("umount", point)


def test_the_snapshot_can_be_compared(story):
    backup = story.guest.runs()[1]["backup"]
    changed = story.guest.machine.ask("snapper", "status", f"{backup}..0")
    module = f"/usr/lib/modules/{KERNEL}/livepatch/livepatch-{{}}.ko"
    assert re.search(r"^c\S* /usr/share/lab/libz1$", changed, re.MULTILINE)
    assert re.search(rf"^\+\S* {re.escape(module.format('3_150500_2_1'))}$", changed, re.MULTILINE)
    assert re.search(rf"^-\S* {re.escape(module.format('1_150500_9_3_1'))}$", changed, re.MULTILINE)
    assert "/boot/vmlinuz" not in changed


def test_after_a_reboot_the_host_comes_up_patched(story, step):
    guest = story.guest
    begun = len(guest.machine.console())
    with step("salt sles1 system.reboot, until the minion answers"):
        guest.rebooted()
    assert "lab: the initrd loads livepatch-3_150500_2_1.ko" in guest.machine.console()[begun:]
    story.look("rebooted")
    assert story.kernels["rebooted"]["uname"] == KERNEL
    assert story.kernels["rebooted"]["boot"] != story.kernels["new"]["boot"]
    assert story.versions["rebooted"] == "lp-3"
    assert story.packages["rebooted"] == story.packages["klp.patch"]
    assert guest.salt("klp.verify").data["verdict"] == "ok"
    with step("state.apply klp.patch after the reboot"):
        answer = guest.salt("state.apply", "klp.patch")
    assert answer.failed == {}
    assert answer.changes == {}
