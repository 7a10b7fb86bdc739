"""The lab tested by itself: real zypper and rpm, the fake kernel, faults, counted programs, isolation."""

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.lab import packages
from tests.lab.host import Host, held_namespace, processes, wait_until

LP = packages.LIVE_PATCH
KERNEL = packages.KERNEL
ADVISORY = "SUSE-SLE-Module-Basesystem-15-SP5-2023-"
FIRST = "livepatch_1_150500_9_3_1"
SECOND = "livepatch_2_150500_2_1"
THIRD = "livepatch_3_150500_2_1"
LOADED = {"enabled": 1, "transition": 0}
MOVING = {"enabled": 1, "transition": 1}


def install(host, edition, **kwargs):
    """Install a live patch edition and return zypper's answer."""
    return host.zypper("in", "--oldpackage", f"{LP}={edition}", **kwargs)


def test_fresh_host_has_every_update_pending_and_no_live_patching(host):
    fresh = host("fresh")
    assert fresh.editions("kernel-default") == ["5.14.21-150500.55.7.1"]
    assert fresh.editions(LP) == []
    assert fresh.run(["uname", "-r"]).stdout.strip() == KERNEL
    assert fresh.run(["uname", "-v"]).stdout.strip().endswith("(b2a976e)")
    assert fresh.live_patches() == {}
    assert fresh.locks() == ""
    assert not fresh.exists("/usr/sbin/klp")
    assert not fresh.exists("/run/systemd/system")
    assert not fresh.exists("/run/reboot-needed")
    assert fresh.read("/etc/machine-id") == hashlib.md5(fresh.name.encode(), usedforsecurity=False).hexdigest() + "\n"
    listed = fresh.zypper("lp", "-a").stdout
    for number in ("2871", "2990", "3210", "3242", "3300", "3310", "3410", "3500"):
        assert ADVISORY + number in listed
    assert fresh.zypper("needs-rebooting").returncode == 0


def test_converged_host_lacks_only_what_needs_a_reboot(host):
    converged = host("converged")
    assert converged.locks().count("solvable_name:") == len(packages.KERNEL_LOCKS)
    listed = converged.run(["zypper", "-n", "lu", "-a"]).stdout
    pending = {line.split("|")[2].strip() for line in listed.splitlines() if line.startswith("v")}
    assert pending == {"glibc", "kernel-default", "kernel-firmware-all", "dkms-agent"}
    assert converged.editions(LP) == ["3-150500.2.1"]
    assert converged.zypper("needs-rebooting").returncode == 0


def test_lock_file_is_what_zypper_writes(host):
    one = host()
    assert one.zypper("al", "kernel-default").returncode == 0
    assert one.locks() == ("\ntype: package\nmatch_type: glob\ncase_sensitive: on\nsolvable_name: kernel-default\n\n")


def test_first_patch_run_is_the_update_stack(host):
    one = host()
    one.zypper("al", "kernel-default")
    assert one.zypper("patch").returncode == 103
    assert one.editions("libzypp") == ["17.31.20-150500.3.6.1"]


def test_advisory_that_needs_the_locked_kernel_stops_patch(host):
    one = host("enabled")
    one.zypper("al", "kernel-default")
    one.zypper("patch")
    before = one.packages()
    done = one.zypper("patch")
    assert done.returncode == 4
    assert f"{ADVISORY}3410" in done.stdout
    assert one.packages() == before


def test_update_with_locked_kernel_moves_the_live_patch_and_reports_the_bad_script(host):
    one = host("enabled")
    one.zypper("al", "kernel-default")
    assert one.live_patches() == {FIRST: LOADED}
    done = one.zypper("up")
    assert done.returncode == 107
    assert one.live_patches() == {THIRD: LOADED}
    assert one.editions("kernel-default") == ["5.14.21-150500.55.7.1"]
    assert one.zypper("needs-rebooting").returncode == 102
    assert one.run(["uname", "-v"]).stdout.strip().endswith("(b2a976e/lp)")


def test_klp_tells_what_is_loaded(host):
    one = host("enabled")
    assert one.run(["klp", "-v", "patches"]).stdout == (
        f"{FIRST}\n    active: 1\n    RPM: {LP}-1-150500.9.3.1.x86_64\n"
        "    CVE: (none - this is an initial kernel live patch)\n    bug fixes and enhancements: (none)\n"
    )
    assert install(one, "3").returncode == 0
    assert "CVE: CVE-2023-3090 CVE-2023-2002 CVE-2023-1281 CVE-2023-1077\n" in one.run(["klp", "-v", "patches"]).stdout
    initrd = one.run(["lsinitrd", f"/boot/initrd-{KERNEL}"]).stdout
    assert "\nkernel-livepatch\n" in initrd
    assert f"lib/modules/{KERNEL}/livepatch/livepatch-3-150500_2_1.ko\n" in initrd
    assert "livepatch-1" not in initrd


def test_klp_downgrade_goes_one_step_back(host):
    one = host("converged")
    assert one.run(["klp", "-n", "downgrade"]).returncode == 0
    assert one.live_patches() == {SECOND: LOADED}
    assert one.run(["klp", "-n", "downgrade"]).returncode == 0
    assert one.run(["klp", "-n", "downgrade"]).returncode == 1
    assert one.live_patches() == {FIRST: LOADED}


def test_transition_stays_until_it_is_finished(host):
    one = host("enabled")
    blocker = one.popen(["blkmapd"])
    one.faults(transition="stay", blockers=[blocker.pid])
    assert install(one, "3").returncode == 0
    assert one.live_patches() == {FIRST: LOADED, THIRD: MOVING}
    assert one.run(["klp", "status"]).stdout == "in_progress\n"
    assert one.run(["klp", "check"]).returncode == 1
    assert one.run(["klp", "blocking"]).stdout == f"{blocker.pid}\n"
    assert one.run(["rpm", "-qf", os.readlink(f"/proc/{blocker.pid}/exe")]).stdout.startswith("nfs-client-")
    one.finish_transition()
    assert one.live_patches() == {THIRD: LOADED}
    assert one.run(["klp", "-v", "blocking"]).stdout == "no threads with klp_in_progress set\n"


def test_transition_ends_when_the_blocker_is_gone(host):
    one = host("enabled")
    blocker = one.popen(["blkmapd"])
    one.faults(release_on_exit=True, blockers=[blocker.pid])
    assert install(one, "2").returncode == 0
    assert one.live_patches()[SECOND] == MOVING
    blocker.kill()
    blocker.wait(timeout=10)
    wait_until(lambda: one.live_patches() == {SECOND: LOADED}, 10, "the end of the transition")


def test_transition_ends_by_itself_after_a_while(host):
    one = host("enabled")
    one.faults(transition_seconds=0.3)
    assert install(one, "2").returncode == 0
    wait_until(lambda: one.live_patches() == {SECOND: LOADED}, 10, "the end of the transition")


def test_klp_status_is_whole_at_every_moment(host):
    one = host("enabled")
    one.faults(transition_seconds=0.3)
    install(one, "2")
    loop = "while [ $(klp status) = in_progress ]; do :; done; klp status"
    done = one.run(["sh", "-c", loop], timeout=60)
    assert (done.stdout, done.stderr) == ("ready\n", "")


def test_live_patch_that_cannot_be_loaded(host):
    one = host("enabled")
    one.faults(post_exit=3)
    assert install(one, "3").returncode == 107
    assert one.editions(LP) == ["3-150500.2.1"]
    assert one.live_patches() == {FIRST: LOADED}


def test_live_patch_of_another_kernel_is_not_loaded(host):
    one = host("enabled", kernel=packages.NEW_KERNEL)
    assert one.live_patches() == {}
    assert install(one, "3").returncode == 0
    assert one.live_patches() == {}


def test_reboot_loads_the_live_patch_of_the_initrd(host):
    one = host("enabled")
    boot_id = one.read("/proc/sys/kernel/random/boot_id")
    assert one.zypper("in", "kernel-default=5.14.21-150500.55.12.1", packages.NEW_LIVE_PATCH).returncode == 0
    assert one.zypper("needs-rebooting").returncode == 102
    assert one.live_patches() == {FIRST: LOADED}
    one.reboot(packages.NEW_KERNEL)
    assert one.live_patches() == {"livepatch_1_150500_11_3_2": LOADED}
    assert one.zypper("needs-rebooting").returncode == 0
    assert one.run(["uname", "-r"]).stdout.strip() == one.read("/proc/sys/kernel/osrelease").strip()
    assert one.read("/proc/sys/kernel/random/boot_id") != boot_id


def test_klp_answers_as_the_test_wants(host):
    one = host("enabled")
    one.faults(klp_status={"stdout": "huh\n", "stderr": "oops\n", "rc": 5})
    done = one.run(["klp", "status"])
    assert (done.stdout, done.stderr, done.returncode) == ("huh\n", "oops\n", 5)
    one.faults()
    assert one.run(["klp", "status"]).stdout == "ready\n"


def test_zypp_lock_is_held_by_any_live_process(host):
    one = host()
    holder = one.popen(["sleep", "600"])
    one.write("/run/zypp.pid", f"{holder.pid}\n")
    assert one.zypper("al", "curl").returncode == 7
    holder.kill()
    holder.wait(timeout=10)
    assert one.zypper("al", "curl").returncode == 0


def test_programs_are_counted_exactly(host):
    one = host()
    one.run(["sh", "-c", "zypper -n locks; rpm -q glibc bash; /usr/bin/rpm -q nosuch; true; nosuchprogram"])
    assert (one.count("zypper"), one.count("rpm"), one.count("nosuchprogram")) == (1, 2, 0)
    assert one.started("rpm")[0].argv == ("rpm", "-q", "glibc", "bash")
    one.forget_programs()
    argvs = [["rpm", "-q", "a\tb\nc\\"], ["zypper", "-n", "in", "curl=8.0.1-150400.5.26.1"]]
    one.run(["python3", "-c", f"import subprocess\nfor argv in {argvs}: subprocess.run(argv)"])
    assert (one.count("zypper", caller="python"), one.count("rpm", caller="python")) == (1, 1)
    assert one.count("rpm", caller="zypper") == 1
    assert one.started("rpm", caller="python")[0].argv[-1] == "a\tb\nc\\"
    one.forget_programs()
    assert one.editions("curl") == ["8.0.1-150400.5.26.1"]
    assert one.programs() == []


def test_hosts_are_isolated_and_the_machine_is_untouched(host):
    def machine():
        paths = [Path("/boot"), Path("/run"), Path("/etc/zypp"), Path("/usr/sbin"), Path("/lib/modules")]
        return [sorted(os.listdir(path)) for path in paths if path.exists() and path.name != "run"]

    before, mounts = machine(), Path("/proc/self/mountinfo").read_text()
    one, two = host("enabled"), host("fresh")
    one.zypper("al", "curl")
    install(one, "3")
    two.write("/run/reboot-needed", "")
    link, machines = Path("/usr/sbin/shutdown"), Path("/bin/systemctl").read_bytes()
    assert os.readlink(link).startswith("/"), "it leads out of the host"
    two.write(str(link), "#!/bin/sh\n")
    assert (two.read(str(link)), Path("/bin/systemctl").read_bytes()) == ("#!/bin/sh\n", machines)
    assert two.locks() == ""
    assert two.editions(LP) == []
    assert two.live_patches() == {}
    assert not one.exists("/run/reboot-needed")
    assert one.run(["hostname"]).stdout != two.run(["hostname"]).stdout
    assert machine() == before
    assert Path("/proc/self/mountinfo").read_text() == mounts
    assert not Path("/usr/sbin/klp-test-hook").exists()


def test_stop_ends_every_process(lab):
    with Host(lab, "sles1", "fresh") as one:
        process = one.popen(["sh", "-c", "sleep 600 & sleep 600"])
        pid = one.pid
    assert process.wait(timeout=10) != 0
    assert not Path(f"/proc/{pid}").exists()


def test_attached_host_is_the_same_host(lab, host):
    one = host("enabled")
    other = Host.attach(one.popen(["sleep", "600"]).pid, lab)
    one.write("/etc/lab/note", "here")
    assert other.read("/etc/lab/note") == "here"
    assert other.live_patches() == {FIRST: LOADED}


def test_variant_repositories(host):
    one = host()
    one.add_repo("update-combo")
    one.add_repo("extra")
    assert ADVISORY + "3400" in one.zypper("lp", "-a").stdout
    assert one.zypper("in", "needs-missing").returncode == 4
    assert one.zypper("in", "conflicter").returncode == 4
    one.repo("extra", on=False)
    assert one.zypper("in", "conflicter").returncode == 104


def test_suseconnect_activates_live_patching(host):
    one = host()
    one.install_fake("SUSEConnect")
    assert one.zypper("in", LP).returncode == 104
    assert [p["identifier"] for p in json.loads(one.run(["SUSEConnect", "--status"]).stdout)] == ["SLES"]
    product = ["SUSEConnect", "-p", "sle-module-live-patching/15.5/x86_64"]
    assert one.run([*product, "-r", "-"], input="WRONG\n").returncode == 67
    assert one.run([*product, "-r", "-"], input="LAB-REGCODE-0001\n").returncode == 0
    assert one.zypper("in", LP).returncode == 0
    calls = [json.loads(line) for line in one.read("/var/lib/lab/suseconnect.argv").splitlines()]
    assert calls[-1] == [*product[1:], "-r", "-"]


def test_snapper_creates_and_lists(host):
    one = host()
    one.install_fake("snapper")
    argv = ["snapper", "-c", "root", "create", "-t", "single", "-p", "-d", "before, klp", "-u", "klp=pre,a=b"]
    assert one.run(argv).stdout == "1\n"
    listed = one.run(["snapper", "--machine-readable", "csv", "list"]).stdout
    assert '"before, klp","klp=pre,a=b"' in listed
    assert "<description>before, klp</description>" in one.read("/.snapshots/1/info.xml")
    one.faults(snapper={"stderr": "IO Error\n", "rc": 1})
    assert one.run(argv).returncode == 1


def test_salt_call_answers_as_data(host):
    one = host("enabled")
    answer = one.salt_call("grains.item", "osfinger", "kernelrelease")
    assert answer.rc == 0
    assert answer.data == {"osfinger": "SLES-15", "kernelrelease": KERNEL}
    assert one.count("zypper") == 0


def test_pillar_arrives_unrendered(host):
    one = host()
    state = {"name": "/etc/lab/x", "contents_pillar": "a:b"}
    answer = one.salt_call("state.single", "file.managed", pillar={"a": {"b": "{{ 1 }}"}}, **state)
    assert answer.rc == 0
    assert one.read("/etc/lab/x") == "{{ 1 }}\n"


@pytest.mark.parametrize("test", [True, False])
def test_state_answer_by_id(host, test):
    one = host()
    answer = one.salt_call("state.single", "file.managed", name="/etc/lab/x", contents="y", test=test)
    assert answer.results == {"/etc/lab/x": None if test else True}
    assert answer.failed == {}
    assert list(answer.changes) == ["/etc/lab/x"]
    assert one.exists("/etc/lab/x") is not test


def test_command_line(lab):
    done = subprocess.run([sys.executable, "-m", "tests.lab", "build"], text=True, capture_output=True, timeout=300)
    assert done.stdout == f"{lab.root}\n"
    argv = [sys.executable, "-m", "tests.lab", "shell", "converged"]
    done = subprocess.run(argv, input="klp status\nhostname\n", text=True, capture_output=True, timeout=60)
    assert done.stdout == "ready\nsles-converged\n"


@pytest.fixture
def minion(event_listener, stats_processes, _salt_factories_config):
    """A minion daemon in an ``enabled`` host, with its master on the machine."""
    from saltfactories.manager import FactoriesManager

    from tests.lab.minion import LabMinion

    with tempfile.TemporaryDirectory(prefix="lab") as root:
        config = {**_salt_factories_config, "root_dir": Path(root), "code_dir": None, "slow_stop": False}
        manager = FactoriesManager(event_listener=event_listener, stats_processes=stats_processes, **config)
        master = manager.salt_master_daemon("master", overrides={"open_mode": True})
        with master.started():
            minion = master.salt_minion_daemon("sles1", factory_class=LabMinion, golden="enabled")
            with minion.started():
                yield minion, master.salt_cli()


def test_minion_daemon_lives_in_a_host(minion):
    minion, salt = minion
    answer = salt.run("grains.item", "osfinger", "kernelrelease", minion_tgt="sles1")
    assert answer.data == {"osfinger": "SLES-15", "kernelrelease": KERNEL}
    minion.host.forget_programs()
    answer = salt.run("cmd.run", f"zypper -n in --oldpackage {LP}=3", minion_tgt="sles1")
    assert answer.returncode == 0
    assert minion.host.live_patches() == {THIRD: LOADED}
    assert minion.host.editions(LP) == ["3-150500.2.1"]
    assert minion.host.count("zypper") == 1
    with held_namespace(minion.pid) as namespace:
        minion.terminate()
        assert processes(namespace) == []
