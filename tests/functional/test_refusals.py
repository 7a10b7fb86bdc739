"""What stops a run: the exact reason, before anything is changed, and a way on once it is gone."""

import threading
import time

import pytest

from tests.functional.conftest import (
    BACKUP,
    FIRST,
    KERNEL,
    LOADED,
    LOCKS,
    LP,
    NEW_KERNEL,
    THIRD,
    VERIFY,
    apply,
    snapshot,
    volumes,
    writes,
)
from tests.functional.refusal import causes, hold_zypp_lock, refused, rpm_lock
from tests.lab import packages

NO_REPOSITORIES = (
    "no enabled repositories in /etc/zypp/repos.d: register the host, or enable one with: zypper mr -e ALIAS"
)
NO_LIVE_PATCH = (
    f"no live patch package for the running kernel: {LP} is in no repository. Either the live patching product is "
    f"not registered, or SUSE makes no more live patches for this kernel; look with: zypper search {LP}"
)
NO_LIVE_PATCHES = (
    "no enabled repository has updates of live patches, so nothing is known of newer ones; "
    f"enable them with: zypper mr -e {packages.LP_UPDATES}"
)
NEVER_ENABLED = (
    "never enabled, and klp.patch activates no product of live patches; first run: salt 'sles1' state.apply klp"
)
NO_BACKEND = (
    "no backup backend is set, so nothing is installed; set pillar klp:backup:backend to auto, snapper, lvm or command "
    "(docs/reference/pillar.md), or to none to patch this host without a backup"
)
GONE = "[gone]\nenabled=1\nautorefresh=1\nbaseurl=dir:///nonexistent\ntype=rpm-md\ngpgcheck=0\n"
WOULD_BRING_A_KERNEL = (
    "refused before anything was installed, because it would install kernel-default-5.14.21-150500.55.12.1; "
    "lock the kernel packages (zypper.locked) or leave out what needs them (pillar klp:update:exclude)"
)
NOT_INSTALLED = (
    f"the package of the running kernel {NEW_KERNEL} is not installed (kernel-default: 5.14.21-150500.55.7.1); "
    "reboot into an installed kernel first"
)
LIVE_PATCH_REPOSITORIES = (packages.LP_POOL, packages.LP_UPDATES)


def locked(sles, **klp):
    """Start a host whose kernel is locked, so that a backup is the first thing that a run makes."""
    one = sles("enabled", **klp)
    assert one.zypper("al", *LOCKS).returncode == 0
    return one


def installed_as_before(one, before):
    """Tell whether neither a package nor a live patch is another one."""
    now = snapshot(one)
    return all(now[key] == before[key] for key in ("packages", "live patches"))


# -- repositories ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("golden", ["fresh", "enabled"])
def test_no_repositories_is_not_up_to_date(sles, golden):
    one = sles(golden)
    for alias in packages.REPOSITORIES:
        one.repo(alias, on=False)
    refused(one, "klp.patch", {"klp-repositories": NO_REPOSITORIES})
    assert one.count("zypper") == 0


def test_nothing_is_enabled_without_repositories(sles):
    one = sles("fresh")
    for alias in packages.REPOSITORIES:
        one.repo(alias, on=False)
    refused(one, "klp", {"klp-backup-enable": NO_REPOSITORIES})


def test_repository_that_cannot_be_read_is_named(sles):
    one = sles("enabled")
    one.write("/etc/zypp/repos.d/gone.repo", GONE)
    answer = apply(one, "klp.patch")
    reason = answer.failed["klp-repositories"]
    assert reason.startswith("repository gone cannot be read (zypper exit 4): Repository 'gone' is invalid.\n")
    assert "[gone|dir:/nonexistent] Valid metadata not found at specified URL" in reason
    refused(one, "klp.patch", {"klp-repositories": reason})
    one.repo("gone", on=False)
    assert apply(one, "klp.patch").failed == {}


def test_nothing_is_enabled_from_half_of_the_repositories(sles):
    one = sles("fresh")
    one.write("/etc/zypp/repos.d/gone.repo", GONE)
    one.salt.sync()
    before = snapshot(one)
    answer = apply(one, "klp")
    assert list(causes(answer)) == ["klp-backup-enable"]
    assert "exit 106 (a repository could not be read and was skipped): Repository 'gone' is" in answer.stdout
    assert answer.rc != 0
    assert snapshot(one) == before


# -- locks of others ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "sls, state, command", [("klp.patch", "klp-repositories", "refresh"), ("klp", "klp-locks", "addlock")]
)
def test_holder_of_the_zypp_lock_is_named_at_the_deadline(sles, sls, state, command):
    one = sles("enabled", zypper={"lock_timeout": 3})
    holder = hold_zypp_lock(one)
    reason = (
        f"zypper {command}: the zypp lock is still held after 3 seconds, by process {holder.pid} (sleep); "
        f"wait until it ends, or look at it with: ps -fp {holder.pid}"
    )
    started = time.monotonic()
    refused(one, sls, {state: reason}, but=("records",))
    assert 3 <= time.monotonic() - started < 30
    assert one.count("zypper") == 1


def test_zypp_lock_that_is_freed_in_time_does_not_matter(sles):
    one = sles("enabled", zypper={"lock_timeout": 60})
    one.salt.sync()
    hold_zypp_lock(one, "sleep", "3")
    assert apply(one, "klp.patch").failed == {}
    assert one.editions(LP) == [THIRD]


def test_rpm_lock_stops_the_run_at_the_deadline_and_the_next_one_finishes(sles):
    one = sles("enabled", zypper={"lock_timeout": 3})
    before = snapshot(one)
    with rpm_lock(one):
        answer = apply(one, "klp.patch")
        reason = causes(answer)["klp-updates"]
        assert reason.startswith("zypper install: after 3 seconds somebody else still holds the rpm lock: ")
        assert "can't create transaction lock on /usr/lib/sysimage/rpm/.rpm.lock" in reason
        assert list(causes(answer)) == ["klp-updates", "klp-newest"]  # the live patch is tried by itself
        assert causes(answer)["klp-newest"].startswith(reason[:70])
        assert answer.rc != 0
        assert installed_as_before(one, before)
    assert apply(one, "klp.patch").failed == {}
    assert one.live_patches() == {"livepatch_3_150500_2_1": LOADED}
    assert len(volumes(one)) == 1


def test_rpm_lock_that_is_freed_in_time_does_not_matter(sles):
    one = sles("enabled", zypper={"lock_timeout": 60})
    one.salt.sync()
    answers = []
    with rpm_lock(one):
        run = threading.Thread(target=lambda: answers.append(apply(one, "klp.patch")), daemon=True)
        run.start()
        deadline = time.monotonic() + 60
        while len(writes(one)) < 2:  # the second try is under way
            assert time.monotonic() < deadline
            run.join(0.1)
    run.join(300)
    assert answers[0].failed == {}
    assert one.editions(LP) == [THIRD]


# -- backup ------------------------------------------------------------------------------------------------------------


def test_no_backend_no_patching(sles):
    one = locked(sles, backup={})
    refused(one, "klp.patch", {"klp-backup": NO_BACKEND})
    refused(one, "klp.patch", {"klp-backup": NO_BACKEND}, test=True)
    refused(sles("fresh", backup={}), "klp", {"klp-backup-enable": NO_BACKEND})


def test_no_backend_is_no_matter_where_nothing_will_change(sles):
    answer = apply(locked(sles, backup={}), "klp")
    assert (answer.rc, answer.failed, answer.changes) == (0, {}, {})


@pytest.mark.parametrize(
    "script, reason",
    [
        ("echo no volume here >&2; exit 5", f"{BACKUP}: exit 5: no volume here"),
        ("exit 1", f"{BACKUP}: exit 1: no output"),
        ("true", f"backup: {BACKUP}: it printed no id"),
        ("echo '  '", f"backup: {BACKUP}: it printed no id"),
        ("echo 'all is well!'", f"backup: {BACKUP}: the last line it printed is no id: 'all is well!'"),
        ("echo --force", f"backup: {BACKUP}: the last line it printed is no id: '--force'"),
        ("echo vol-9", f"{VERIFY} vol-9: exit 1: no output"),
    ],
)
def test_backup_that_is_none_stops_the_run(sles, script, reason):
    one = locked(sles)
    one.write("/var/lib/volumes", "")
    one.write(BACKUP, f"#!/bin/sh\n{script}\n", mode=0o755)
    refused(one, "klp.patch", {"klp-backup": reason}, but=("records",))


def test_missing_backup_program_stops_the_run(sles):
    one = locked(sles, backup={"backend": "command", "create": ["/opt/none"], "verify": ["/opt/none"]})
    refused(one, "klp.patch", {"klp-backup": "/opt/none: command not found"}, but=("records",))
    one.salt.pillar({"klp": {"backup": {"backend": "snapper"}}})
    refused(one, "klp.patch", {"klp-backup": "snapper: command not found"}, but=("records",))


def test_backup_command_has_a_deadline(sles):
    one = locked(sles, backup={"backend": "command", "create": [BACKUP], "verify": [VERIFY], "timeout": 1})
    one.write(BACKUP, "#!/bin/sh\nexec sleep 600\n", mode=0o755)
    refused(one, "klp.patch", {"klp-backup": f"{BACKUP}: no end within 1 second"}, but=("records",))


# -- dry run -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "call, reason",
    [
        (
            ["zypper.update"],
            f"lock the kernel packages first (zypper.add_locks), not locked: {', '.join(LOCKS)}",
        ),
        (["zypper.install", ["dkms-agent=2.0-1.1"]], f"zypper install: {WOULD_BRING_A_KERNEL}"),
        (["zypper.install", ["curl", "kernel-default"]], f"zypper install: {WOULD_BRING_A_KERNEL}"),
    ],
)
def test_dry_run_that_holds_a_kernel_is_refused(sles, call, reason):
    one = sles("enabled")
    one.salt.sync()
    before = snapshot(one)
    answer = one.salt_call(*call)
    assert answer.stderr.strip() == f"Error running '{call[0]}': {reason}"
    assert answer.rc != 0
    assert snapshot(one) == before
    assert writes(one) == []


# -- kernels without live patches --------------------------------------------------------------------------------------


@pytest.mark.parametrize("sls", ["klp", "klp.patch"])
@pytest.mark.parametrize(
    "kernel, reason",
    [
        (
            "5.14.21-150500.33.6-azure",
            "kernel 5.14.21-150500.33.6-azure: there are no live patches for the flavour azure, only for default, rt",
        ),
        ("6.1.0", "kernel release '6.1.0' is not of the form VERSION-RELEASE-FLAVOUR"),
        (NEW_KERNEL, NOT_INSTALLED),
    ],
)
def test_kernel_that_cannot_be_live_patched(sles, kernel, reason, sls):
    one = sles("enabled", kernel=kernel)
    refused(one, sls, {"klp-ready": reason})
    assert one.count("zypper") == 0


@pytest.mark.parametrize("sls", ["klp", "klp.patch"])
def test_settings_that_let_purge_kernels_remove_the_running_kernel(sles, sls):
    one = sles("enabled")
    keep = "multiversion.kernels = latest,latest-1,running"
    text = one.read("/etc/zypp/zypp.conf")
    assert keep in text
    one.write("/etc/zypp/zypp.conf", text.replace(keep, "multiversion.kernels = latest"))
    reason = "zypp.conf: multiversion.kernels = latest lets purge-kernels remove the running kernel; add running to it"
    refused(one, sls, {"klp-ready": reason})
    one.write("/etc/zypp/zypp.conf", text.replace(keep, f"multiversion.kernels = {KERNEL.replace('-default', '')}"))
    assert apply(one, "klp").failed == {}


def test_no_live_patch_package_for_this_kernel(sles):
    one = sles("fresh")
    for alias in LIVE_PATCH_REPOSITORIES:
        one.repo(alias, on=False)
    refused(one, "klp.patch", {"klp-repositories": f"{NO_LIVE_PATCHES}\n{NEVER_ENABLED}"})
    refused(one, "klp", {"klp-backup-enable": NO_LIVE_PATCH})


def test_a_wrong_pillar_is_said_once_and_by_one_state(sles):
    one = sles("enabled", level="newest")
    for sls in ("klp", "klp.patch", "klp.rollback"):
        answer = apply(one, sls)
        assert answer.rc != 0 and answer.comments == {"klp-ready": answer.failed["klp-ready"]}
        assert answer.failed["klp-ready"].startswith("pillar klp:level: ")


def test_what_is_not_there_before_a_run_is_told_as_such(sles):
    said = apply(sles("fresh"), "klp.patch", test=True).comments["klp-verified"]
    assert said.startswith(f"before this run: failed: {KERNEL} with live patch none\n")


def test_level_that_no_repository_has(sles):
    one = sles("enabled", level=7)
    reason = f"live patch level 7 of {LP} is in no repository; there are: {THIRD}, 2-150500.2.1, {FIRST}"
    refused(one, "klp.patch", {"klp-repositories": reason})
    refused(one, "klp", {"klp-backup-enable": reason})
