"""A new kernel is planned and installed beside the running one: what is refused, what is said, what GRUB gets."""

import re

import pytest
import salt.utils.systemd
from salt.exceptions import CommandExecutionError

import klp_change_install
import klp_change_plan
import klp_health
import klp_paths
import klp_preflight
import klp_target
import zypp_locks
import zypp_opened
import zypp_solver
from tests.unit.changing import BESIDE, CHANGED, COMING, EDITION, LEVEL, NEW_LP, OLD, WANTED, refused
from tests.unit.conftest import KERNEL
from tests.unit.hosts import KERNEL_PACKAGE, dry, reads, record, remembers, writes, wrote
from tests.unit.kernels import NEW, NEW_ENTRY, OLD_ENTRY, TITLE
from tests.unit.states import apply, functions  # noqa: F401 - a fixture


@pytest.fixture
def host(changing):
    return changing


# -- the plan ----------------------------------------------------------------------------------------------------------


def test_a_plan_says_what_comes_and_what_it_risks(host):
    found = host.run("plan")
    assert (found["result"], found["changes"]) == (True, {})
    assert found["comment"].splitlines() == [
        "Nothing speaks against the change",
        f"Kernel {NEW}, live patches until 2024-08-01 (estimated); CVEs that it closes: 1",
        f"{klp_paths.BOOT}: needs 60 MiB, 200 MiB are free",
        f"Warning: {klp_change_plan.PANIC}",
    ]
    host.minion.write("proc/cmdline", "quiet panic=60\n")
    host.target = dict(COMING, window=None, boot={"needed": None, "free": 1})
    assert host.run("plan")["comment"].splitlines()[1:] == [f"Kernel {NEW}; CVEs that it closes: 1"]


def test_no_other_kernel_is_wanted(host):
    host.target = None
    assert host.run("plan")["comment"] == host.run("install")["comment"] == "No kernel is to be installed now"
    assert host.run("verify")["comment"] == "pillar klp:kernel:target is none: this host gets no other kernel"
    host.target = dict(COMING, release=KERNEL)
    assert host.run("verify")["comment"] == f"kernel {KERNEL} is the one that this host is to have"


def test_an_unknown_step_is_a_mistake(host):
    assert host.run("more")["comment"] == "step: wanted plan, install, verify, found 'more'"


def test_an_ill_application_keeps_the_kernel_as_it_is(host, monkeypatch):
    monkeypatch.setattr(klp_health, "before", lambda host, idle: [] if idle() else ["not healthy before: shop"])
    refused(host, "^not healthy before: shop$")


def test_what_speaks_against_it_is_said_first(host, monkeypatch):
    monkeypatch.setattr(klp_preflight, "problems", lambda host: ["one", "two"])
    refused(host, "^one; two$")


def test_a_dry_run_that_holds_more_is_refused(host):
    host.dry(dry("install", *WANTED, "kernel-source=5.14.21-2"))
    refused(host, "refused before anything was installed, because it would install kernel-source-5.14.21-2$")
    host.dry(dry("remove", "curl=1-1"))
    refused(host, "because it would remove curl-1-1$")


def test_a_kernel_in_the_place_of_the_running_one_is_refused(host):
    host.dry(dry("upgrade", *WANTED))
    refused(host, "^zypper would put kernel-default in the place of the running one: set multiversion = provides:multi")


def test_modules_of_others_come_with_it(host):
    host.target = dict(COMING, kmps={"good": ["x-kmp-default"], "install": {"x-kmp-default": "2-1"}})
    wanted = sorted([*WANTED, "x-kmp-default=2-1"])
    host.dry(dry("install", *wanted), *wanted)
    assert host.plan()["changes"]["x-kmp-default"] == "2-1"


def test_drivers_of_the_kernel_come_with_it_or_it_is_refused(host, monkeypatch):
    host.rpm({**OLD, "kernel-default-extra": KERNEL_PACKAGE})
    monkeypatch.setattr(zypp_solver, "editions", lambda host, name: [])
    refused(
        host, f"^kernel-default-extra is installed here, and no repository has its edition {EDITION}: the new kernel"
    )
    monkeypatch.setattr(zypp_solver, "editions", lambda host, name: [{"edition": EDITION}])
    wanted = [WANTED[0], f"kernel-default-extra={EDITION}", WANTED[1]]
    host.dry(dry("install", *wanted), *wanted)
    assert host.plan()["packages"]["kernel-default-extra"] == EDITION


def test_a_plan_of_a_campaign_has_to_have_shown_it(host):
    host.pillar(campaign={"shown": {"another": "0"}})
    refused(host, "the plan of this campaign has not shown anything for sles1; make a new plan")


def test_services_that_systemd_starts_and_that_run(host, monkeypatch, paths):
    assert klp_change_plan.services(host.minion.host) == []
    monkeypatch.setattr(salt.utils.systemd, "booted", lambda *args: True)
    with pytest.raises(CommandExecutionError, match="systemctl"):  # what runs is not known
        klp_change_plan.services(host.minion.host)
    paths.add("systemctl")
    host.minion.programs.on(["systemctl", "list-units", ...], "b.service loaded active running b\nc.service loaded\n\n")
    unit = "Id={}\nUnitFileState={}\nWantedBy={}\nRequiredBy=\nTriggeredBy={}\n"
    started = (
        unit.format("b.service", "enabled", "multi-user.target", "") + "\n" + unit.format("c.service", "static", "", "")
    )
    others = (
        unit.format("b.service", "enabled", "", ""),  # by D-Bus, when somebody asks for it
        unit.format("b.service", "enabled", "multi-user.target", "b.socket"),
        unit.format("b.service", "disabled", "multi-user.target", ""),
        unit.format("z.service", "enabled", "z.target", ""),
    )
    for said, found in ((started, ["b.service"]), *((text, []) for text in others)):
        host.minion.programs.on(["systemctl", "show", ...], said)
        assert klp_change_plan.services(host.minion.host) == found
    host.minion.programs.on(["systemctl", "list-units", ...], "")
    assert klp_change_plan.services(host.minion.host) == []


IDLE = "SubState=dead\nType=dbus\nResult=success\nExecMainStartTimestampMonotonic=8000000"  # snapperd, after a minute


@pytest.mark.parametrize(
    ("said", "runs"),
    [
        ("SubState=running\nType=dbus\nResult=success\nExecMainStartTimestampMonotonic=8000000", True),
        (IDLE, True),
        (IDLE.replace("=8000000", "=0"), False),  # it was never started
        (IDLE.replace("Result=success", "Result=exit-code").replace("dead", "failed"), False),
        (IDLE.replace("Type=dbus", "Type=simple"), False),  # nothing starts it when it is asked
        ("SubState=auto-restart\nType=simple\nResult=exit-code\nExecMainStartTimestampMonotonic=8000000", False),
        ("", False),
    ],
)
def test_services_that_do_not_run_any_more(host, paths, said, runs):
    paths.add("systemctl")
    names = ["a.service", "b.service"]
    asked = "--property=Id,SubState,Type,Result,ExecMainStartTimestampMonotonic"
    text = f"Id=a.service\nSubState=running\n\nId=b.service\n{said}\n"
    host.minion.programs.on(["systemctl", "show", asked, *names], text)
    assert klp_change_plan.stopped(host.minion.host, names) == ([] if runs else ["b.service"])


def test_services_of_which_systemd_does_not_tell(host, paths):
    paths.add("systemctl")
    late = {"retcode": 1, "stderr": "Failed to get properties: Connection timed out"}
    host.minion.programs.on(["systemctl", "show", ...], late)
    with pytest.raises(CommandExecutionError, match="Connection timed out"):
        klp_change_plan.stopped(host.minion.host, ["a.service"])


# -- the installation --------------------------------------------------------------------------------------------------


def test_it_is_installed_started_once_and_told(host):
    predicted = host.run("install", test=True)
    assert predicted["result"] is None and record("kernel") is None
    would = host.run("verify", test=True)
    found = host.run("install")
    assert (found["result"], found["changes"]) == (True, predicted["changes"])
    assert host.grub.variables == {"saved_entry": OLD_ENTRY, "next_entry": NEW_ENTRY}
    there = record("kernel")
    assert (there["stage"], there["fallback"], there["default"]) == ("installed", True, TITLE)
    assert there["packages"] == {"kernel-default": EDITION, NEW_LP: LEVEL}
    told = host.run("verify")
    assert (told["result"], told["changes"]) == (True, {})
    assert would["comment"] == f"Would end with\n{told['comment']}"
    assert told["comment"].startswith(f"reboot_needed: {NEW} with live patch {LEVEL} is installed beside {KERNEL}\n")
    assert host.run("install")["comment"] == "No kernel is to be installed now"


def test_a_scriptlet_that_makes_the_new_kernel_the_default(host):
    chosen = {"saved_entry": NEW_ENTRY}
    after = {"changes": True, "then": lambda: host.grub.variables.update(chosen) or host.grub.save()}
    writes(host.minion, ["install", "--no-recommends", *WANTED], "done", **after)
    assert host.run("install")["result"] is True
    assert host.grub.variables == {"saved_entry": OLD_ENTRY, "next_entry": NEW_ENTRY}


def test_zypper_sees_locks_of_its_own_meanwhile(host):
    text = open(klp_paths.LOCKS, encoding="utf-8").read()
    seen = []

    def look():
        conf = host.minion.programs.options[-1]["env"]["ZYPP_CONF"]
        said = open(conf, encoding="utf-8").read()
        seen.append(open(re.findall(r"locksfile.path = (\S+)", said)[0], encoding="utf-8").read())
        assert said.startswith("[main]\nmultiversion = ")

    writes(host.minion, ["install", "--no-recommends", *WANTED], "done", changes=True, then=look)
    assert host.run("install")["result"] is True
    assert [lock["package"] for lock in zypp_locks.records(seen[0])] == ["kernel-default-base", "kernel-default"]
    assert zypp_locks.plain(zypp_locks.records(seen[0])[1], f"kernel-default>{EDITION}")
    assert open(klp_paths.LOCKS, encoding="utf-8").read() == text
    zyppers = [item for item in host.minion.programs.options if "ZYPP_LOCK_TIMEOUT" in item["env"]]
    assert len(zyppers) == 2 and host.minion.host.zypp_conf is None


def test_what_was_cut_off_is_finished(host):
    known = dict(CHANGED, stage="installing", why=[], at=1, boot_id="b1", default="mine", services=["a"])
    remembers(host.minion, "kernel", dict(known, packages={"kernel-default": EDITION}))
    host.rpm(BESIDE)
    forced = ["install", "--no-recommends", "--force", f"kernel-default={EDITION}"]
    reads(host.minion, [*forced[:1], "--dry-run", *forced[1:]], dry("reinstall", f"kernel-default={EDITION}"))
    writes(host.minion, forced, "done", changes=True)
    found = host.run("install")
    assert found["result"] is True, found["comment"]
    there = record("kernel")
    assert (there["stage"], there["default"], there["services"]) == ("installed", "mine", ["a"])


def test_a_kernel_that_was_begun_goes_before_a_better_one(host, monkeypatch):
    remembers(host.minion, "kernel", dict(CHANGED, stage="installing", why=[], at=1, boot_id="b1"))
    monkeypatch.setattr(klp_target, "choose", lambda host: dict(COMING, edition="6-1.1"))
    assert klp_change_plan.target(host.minion.host)["edition"] == EDITION
    host.target = dict(COMING, problems=["retracted"])
    assert klp_change_plan.target(host.minion.host)["edition"] == "6-1.1"


def test_nothing_is_left_to_install(host):
    host.rpm(BESIDE)
    found = host.run("install")
    assert found["result"] is True
    assert (record("kernel")["stage"], wrote(host.minion, "install")) == ("installed", [])


@pytest.mark.parametrize(
    "after, why",
    [
        (OLD, f"zypper install: wanted kernel-default {EDITION}, found {KERNEL_PACKAGE}"),
        ({**BESIDE, "kernel-default": EDITION}, "kernel-default of the running kernel is gone"),
    ],
)
def test_what_zypper_has_left_is_looked_at(host, after, why):
    host.rpm(OLD, after)
    found = host.run("install")
    assert found["result"] is False and why in found["comment"]
    assert record("kernel")["stage"] == "installing"
    assert host.grub.variables == {"saved_entry": OLD_ENTRY}  # the old kernel is the default, whatever comes


def test_an_initrd_that_is_not_there_or_lacks_its_live_patch(host):
    host.minion.programs.on(["lsinitrd", f"{klp_paths.BOOT}/initrd-{NEW}"], "nothing")
    found = host.run("install")
    why = f"kernel {NEW} is installed, but its initrd has not its live patch: the initrd has no dracut module "
    assert (found["result"], found["comment"].startswith(why)) == (False, True)


def test_an_initrd_that_is_not_there(host):
    (host.minion.root / f"boot/initrd-{NEW}").unlink()
    assert f"initrd-{NEW} is not there; run dracut --force --kver {NEW}" in host.run("install")["comment"]


# -- without a fallback ------------------------------------------------------------------------------------------------


def test_without_a_fallback_it_has_to_be_allowed(host):
    host.grub.probe("ext2", "lvm")
    refused(
        host, r"on lvm, .*\. This kernel would be the default at once, .* klp:kernel:without_fallback: true allows "
    )
    host.pillar(kernel={"without_fallback": True})
    assert "\nNo fallback: GRUB cannot start a kernel once" in host.run("plan")["comment"]
    predicted, found = host.run("install", test=True), host.run("install")
    assert (found["result"], found["changes"]) == (True, predicted["changes"])
    assert host.grub.variables == {"saved_entry": NEW_ENTRY}


def test_a_boot_loader_that_nobody_understands(host, uname):
    host.minion.write("boot/grub2/grub.cfg", "if true; then\n")
    host.pillar(kernel={"without_fallback": True})
    found = host.run("install")
    assert (found["result"], "next start" in found["changes"]) == (True, False)
    assert "The next start is" not in host.run("verify")["comment"]
    host.reboots(uname, NEW)
    host.healthy()
    assert host.run("verify")["result"] is True
    assert record("kernel")["stage"] == "verified"


def test_a_default_that_is_fixed_and_another_one(host):
    host.grub.rewrite(r'default="\$\{saved_entry\}"', 'default="1>1"')
    host.pillar(kernel={"without_fallback": True})
    assert f"the boot loader would not start {NEW} next: make it the default by hand" in host.run("install")["comment"]


# -- locks -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "version, bites",
    [(None, True), ("> 5.14.21-150500.55.7", True), ("> 5.14.21-150500.56", False), (">= " + EDITION, True)]
    + [("<= " + EDITION, True), ("< " + EDITION, False), ("== " + EDITION, True), ("!= " + EDITION, False)],
)
def test_a_lock_on_versions_keeps_some_away(version, bites):
    text = "type: package\nmatch_type: glob\ncase_sensitive: on\nsolvable_name: kernel-default\n"
    (lock,) = zypp_locks.records(text + (f"version: {version}\n" if version else ""))
    assert zypp_locks.in_the_way(lock, "kernel-default", EDITION) is bites
    assert zypp_locks.in_the_way(lock, "curl", EDITION) is False
    assert zypp_locks.in_the_way(dict(lock, repo="a"), "kernel-default", EDITION) is False


def test_a_lock_of_others_is_named(host):
    remembers(host.minion, "locks", [])
    refused(
        host, rf"^lock in line 2 of .*/etc/zypp/locks \(kernel-default\) keeps kernel-default-{EDITION} away; remove"
    )


def test_a_folder_that_cannot_be_written(host, monkeypatch):
    monkeypatch.setattr(klp_paths, "RUN", klp_paths.LOCKS)
    with (
        pytest.raises(CommandExecutionError, match="cannot be written"),
        zypp_opened.opened(host.minion.host, {"kernel-default": EDITION}),
    ):
        pass


def test_what_is_said_of_an_install_fits_the_record():
    assert klp_change_install.NEXT.count("{}") == 2
