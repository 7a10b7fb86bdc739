"""Which other kernel a host could run: five kernels of a repository, read with the real zypper and rpm."""

import pytest

from tests.functional.conftest import KERNEL_EDITION, NEW_KERNEL, NEW_KERNEL_EDITION, apply, settings, snapshot
from tests.functional.kernels import (
    BEST,
    GOOD,
    IN_TREE,
    NUMBERS,
    RETRACTED,
    SYMBOLS,
    VENDOR,
    WITHOUT_LIVE_PATCH,
    WITHOUT_MODULES,
    equipped,
    source,
)
from tests.functional.refusal import causes
from tests.lab import mirror as mirrors
from tests.lab import packages
from tests.lab.advisories import BASE
from tests.lab.packages import under

WITHDRAWN = f"{BASE}9028"
ENDS = {19: "2091-03-01", 22: "2091-09-01", 28: "2092-01-01", 31: "2092-02-01", 36: "2092-03-01"}
BEST_LP = f"kernel-livepatch-5_14_21-{under('150500.55.22')}-default"
WHY = "pillar klp:kernel:target: kernel-default {} does not qualify: {}"


EVERY = [WITHOUT_MODULES, WITHOUT_LIVE_PATCH, RETRACTED, BEST, GOOD, NEW_KERNEL_EDITION, KERNEL_EDITION]
# What the document of the host says of the best kernel.
DOCUMENTED = {
    "package": "kernel-default",
    "release": "5.14.21-150500.55.22-default",
    "edition": BEST,
    "live_patch": "2-150500.2.1",
    "window_last": "2091-09-01",
    "estimated": False,
    "cves": {"critical": 1, "important": 2, "moderate": 0, "low": 0, "unspecified": 0},
    "problem": None,
}


@pytest.fixture
def one(sles, yearly):
    """A live patched host with the repository."""
    return offered(sles("converged"), yearly)


def offered(host, yearly):
    """Give a host the repository, two kernel module packages, and lifecycle data of the new kernels."""
    mirrors.offer(host, yearly)
    names = [f"{IN_TREE}=5.14.21-{source(7)}.1", VENDOR, SYMBOLS]
    done = host.zypper("install", *names, count=False)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = [f"kernel-livepatch-5_14_21-{under(source(number))}-default,*,{ENDS[number]}" for number in NUMBERS]
    host.write("/var/lib/lifecycle/data/sle-module-live-patching.lifecycle", "\n".join(lines) + "\n")
    return host


def kernels(host):
    answer = host.salt_call("klp_audit.kernels")
    assert answer.rc == 0 and isinstance(answer.data, list), answer.stderr
    return {item["edition"]: item for item in answer.data}


def target(host, value="best", **kernel):
    """Return what the document says of the target of a host with this pillar."""
    host.salt.pillar({"klp": {"kernel": dict(kernel, target=value)}})
    answer = host.salt_call("klp_audit.host")
    assert isinstance(answer.data, dict), answer.stderr
    return answer.data["kernel_target"]


def zyppers(host):
    return [program.argv for program in host.started("zypper")]


def test_the_best_of_five_kernels_is_told_with_the_reasons_against_the_others(one):
    found = kernels(one)
    assert list(found) == [
        WITHOUT_MODULES,
        WITHOUT_LIVE_PATCH,
        RETRACTED,
        BEST,
        GOOD,
        NEW_KERNEL_EDITION,
        KERNEL_EDITION,
    ]
    assert {edition: item["problems"] for edition, item in found.items()} == {
        WITHOUT_MODULES: [f"there is no build of {VENDOR} for it"],
        WITHOUT_LIVE_PATCH: [f"kernel-livepatch-5_14_21-{under(source(31))}-default is in no repository"],
        RETRACTED: [f"its vendor has withdrawn it (retracted: {WITHDRAWN})"],
        BEST: [],
        GOOD: [],
        NEW_KERNEL_EDITION: [f"there is no build of {IN_TREE} for it", f"there is no build of {VENDOR} for it"],
        KERNEL_EDITION: [],
    }
    best = found[BEST]
    assert best["release"] == "5.14.21-150500.55.22-default"
    assert best["live_patch"] == {"package": BEST_LP, "edition": "2-150500.2.1"}
    assert best["window"] == {
        "state": "open",
        "first": "2027-01-15",
        "last": "2091-09-01",
        "estimated": False,
        "source": "/var/lib/lifecycle/data/sle-module-live-patching.lifecycle:2",
    }
    edition = f"5.14.21-{source(22)}.1"
    assert best["kmps"] == {"good": [IN_TREE, VENDOR], "missing": [], "unknown": [], "install": {IN_TREE: edition}}
    closed = {"CVE-2023-2156": "important", "CVE-2027-0019": "critical", "CVE-2027-0022": "important"}
    assert best["cves"] == closed
    assert target(one) == DOCUMENTED
    one.forget_programs()
    assert (target(one)["edition"], zyppers(one)) == (BEST, [])
    assert one.editions("kernel-default") == [KERNEL_EDITION]


def test_a_target_by_name_is_taken_or_refused_with_its_reason(one):
    refused = {
        RETRACTED: f"its vendor has withdrawn it (retracted: {WITHDRAWN})",
        WITHOUT_MODULES: f"there is no build of {VENDOR} for it",
        WITHOUT_LIVE_PATCH: f"kernel-livepatch-5_14_21-{under(source(31))}-default is in no repository",
    }
    for edition, why in refused.items():
        assert target(one, edition)["problem"] == WHY.format(edition, why)
    absent = f"pillar klp:kernel:target: kernel-default 9.9-1.1 is in no repository; there are: {', '.join(EVERY)}"
    assert target(one, "9.9-1.1")["problem"] == absent
    assert target(one, GOOD)["edition"] == GOOD
    assert target(one, "none") is None


def test_zypper_says_nothing_of_a_module_package_that_a_new_kernel_has_not(one):
    """The old kernel stays, and goes on to provide what module packages require: so nobody else looks at that."""
    one.zypper("removelock", *packages.KERNEL_LOCKS, count=False)
    for edition in (WITHOUT_MODULES, BEST):
        done = one.zypper("install", "--dry-run", f"kernel-default={edition}", count=False)
        assert done.returncode == 0 and "Problem" not in done.stdout, done.stdout
        assert IN_TREE not in done.stdout and VENDOR not in done.stdout
    done = one.zypper("install", f"kernel-default={BEST}", f"{IN_TREE}={BEST}", count=False)
    assert done.returncode in (0, 102), done.stdout + done.stderr
    assert one.editions(IN_TREE) == [BEST, f"5.14.21-{source(7)}.1"]
    found = kernels(one)[BEST]
    assert (found["kmps"]["install"], found["boot"]["needed"], found["problems"]) == ({}, 0, [])


def test_a_full_boot_is_refused(one):
    """A file system of 4 MiB with the running kernel in it: what is left is less than one more needs."""
    script = (
        "cp -a /boot /run/boot && mount -t tmpfs -o size=4m tmpfs /boot && cp -a /run/boot/. /boot && "
        f"dd if=/dev/zero of=/boot/initrd-{packages.KERNEL} bs=1M count=2 2>&1"
    )
    done = one.run(["sh", "-c", script], count=False)
    assert done.returncode == 0, done.stdout + done.stderr
    full = "/boot has 1 MiB free, and it needs 4 MiB there: make room there, see: du -a /boot | sort -n"
    assert target(one, BEST)["problem"] == WHY.format(BEST, full)
    assert kernels(one)[KERNEL_EDITION]["problems"] == []


def test_of_a_host_without_other_kernels_the_running_one_is_the_target(sles):
    one = sles("converged")
    assert target(one)["edition"] == NEW_KERNEL_EDITION
    one.repo(packages.SLES_UPDATES, on=False)
    found = target(one)
    assert (found["edition"], found["problem"]) == (KERNEL_EDITION, None)
    assert NEW_KERNEL not in str(found)


def test_metadata_that_python_cannot_unpack_are_unpacked_by_zstd_or_keep_a_kernel_out(one):
    """createrepo_c writes zstd in newer systems; zypper has read the file, and Python before 3.14 cannot."""
    script = "cd /var/cache/zypp/raw/mirror/repodata && f=$(ls *-primary.xml.gz) && zcat $f | zstd -q -o ${f%.gz}.zst"
    done = one.run(["sh", "-c", f"{script} && rm $f"], count=False)
    assert done.returncode == 0, done.stderr
    found = kernels(one)
    assert (found[BEST]["problems"], found[BEST]["kmps"]["good"]) == ([], [IN_TREE, VENDOR])
    assert found[WITHOUT_MODULES]["kmps"]["missing"] == [VENDOR]
    assert [path.name for path in one.path("/var/cache/salt-klp").glob("primary*")] == []
    one.run(["rm", "-r", "/usr/bin/zstd", "/var/cache/salt-klp"], count=False)
    assert kernels(one)[BEST]["problems"] == [
        f"whether there is a build of {name} for it is not known" for name in (IN_TREE, VENDOR)
    ]


def test_klp_kernel_refuses_with_the_same_reason_and_brings_the_best_with_its_module_packages(sles, yearly):
    """The kernel, its live patch and the module package that is built for it come in one transaction."""
    one = offered(equipped(sles), yearly)
    one.salt.pillar(settings(kernel={"target": WITHOUT_MODULES}))
    before = snapshot(one)
    for test in (True, None):
        said = list(causes(apply(one, "klp.kernel", test=test)).values())
        assert said == [WHY.format(WITHOUT_MODULES, f"there is no build of {VENDOR} for it")]
    assert snapshot(one) == before
    one.salt.pillar(settings())
    assert apply(one, "klp.kernel").failed == {}
    assert one.editions("kernel-default") == [BEST, KERNEL_EDITION]
    assert one.editions(IN_TREE) == [BEST, f"5.14.21-{source(7)}.1"]
    assert (one.editions(BEST_LP), one.editions(VENDOR)) == (["2-150500.2.1"], ["1.0-1.1"])
    found = kernels(one)[BEST]
    assert (found["installed"], found["kmps"]["install"], found["problems"]) == (True, {}, [])
