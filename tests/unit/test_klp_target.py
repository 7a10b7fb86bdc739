"""Which other kernel a host could run, and which one pillar klp:kernel:target means, each refusal with its reasons."""

import os

import pytest
from salt.exceptions import CommandExecutionError

import klp_arrival
import klp_audit_cves
import klp_paths
import klp_target
import klp_target_facts
import klp_window
from tests.unit.conftest import KERNEL
from tests.unit.hosts import KERNEL_PACKAGE, has

NEW = "5.14.21-150500.55.{}.1"
GOOD: dict = {"good": [], "missing": [], "unknown": [], "install": {}}
LP = "kernel-livepatch-5_14_21-150500_55_{}-default"
MIB = 1 << 20
NONE = "pillar klp:kernel:target: no kernel qualifies: "


def advisory(number, *cves, status="stable", ident=None, name="kernel-default", edition=None):
    packages = {name: edition or NEW.format(number)}
    return {"id": ident or f"A-{number}", "status": status, "severity": "important", "cves": cves, "packages": packages}


class Lab:
    """What a host with three newer kernels knows of them; a test changes it."""

    def __init__(self, minion):
        self.minion = minion
        self.kernels = {
            KERNEL_PACKAGE: self.kernel(installed=True),
            **{NEW.format(number): self.kernel() for number in (12, 19, 22)},
            NEW.format(3): self.kernel(),
        }
        self.live = {LP.format(number): ["1-1.1", "2-1.1", "3-1.1"] for number in (3, 7, 12, 19, 22)}
        self.advisories = [advisory(12, "CVE-2023-0001"), advisory(19, "CVE-2023-0001", "CVE-2023-0002")]
        self.cves = {
            "CVE-2023-0001": {"state": "reboot", "severity": "critical"},
            "CVE-2023-0002": {"state": "pending", "severity": None},
            "CVE-2023-0003": {"state": "fixed_live", "severity": "important"},
        }
        self.ends = {7: "2024-07-18", 12: "2024-08-01", 19: "2024-09-01", 22: "2024-08-15"}
        self.free, self.block = 100, MIB

    @staticmethod
    def kernel(**more):
        return dict({"built": 1689588000, "installed": False, "kmps": GOOD}, **more)

    def found(self, **kernel):
        """Return what klp_audit.kernels says."""
        if kernel:
            self.minion.pillar["klp"] = {"kernel": kernel}
        lines = "".join(f"{LP.format(number)},*,{last}\n" for number, last in self.ends.items())
        self.minion.file(f"{klp_paths.LIFECYCLE[0]}/sle-module-live-patching.lifecycle", lines)
        return self.minion.salt["klp_audit.kernels"]()

    def chosen(self, target="best"):
        self.found(target=target)
        return klp_target.choose(self.minion.host)

    def refused(self, target="best"):
        with pytest.raises(CommandExecutionError) as raised:
            self.chosen(target)
        return str(raised.value)


@pytest.fixture
def lab(minion, monkeypatch):
    has(minion, "3-150500.2.1")
    found = Lab(minion)
    for name in (f"vmlinuz-{KERNEL}", f"initrd-{KERNEL}", f".vmlinuz-{KERNEL}.hmac", f"vmlinux-{KERNEL}.gz"):
        minion.file(f"{klp_paths.BOOT}/{name}", "x" * MIB * 2)
    live, kernels = lambda: found.live, lambda: found.kernels
    monkeypatch.setattr(klp_target_facts, "facts", lambda host: {"kernels": kernels(), "live_patches": live()})
    monkeypatch.setattr(klp_target_facts, "advisories", lambda host: found.advisories)
    monkeypatch.setattr(klp_audit_cves, "cves", lambda host: {"cves": found.cves})
    monkeypatch.setattr(klp_arrival, "cure", lambda host: "make room")
    room = type("Room", (), {"f_bavail": property(lambda self: found.free), "f_frsize": property(lambda self: MIB)})
    monkeypatch.setattr(os, "statvfs", lambda path: room())
    return found


def test_each_kernel_is_told_of_newest_first(lab):
    found = lab.found()
    assert [item["edition"] for item in found] == [NEW.format(number) for number in (22, 19, 12, 7, 3)]
    path = f"{klp_paths.LIFECYCLE[0]}/sle-module-live-patching.lifecycle"
    assert found[1] == {
        "package": "kernel-default",
        "edition": NEW.format(19),
        "release": "5.14.21-150500.55.19-default",
        "running": False,
        "installed": False,
        "retracted": False,
        "live_patch": {"package": LP.format(19), "edition": "3-1.1"},
        "window": {
            "state": "open",
            "first": "2023-07-17",
            "last": "2024-09-01",
            "estimated": False,
            "source": f"{path}:3",
        },
        "cves": {"CVE-2023-0001": "critical", "CVE-2023-0002": "unspecified"},
        "kmps": GOOD,
        "boot": {"needed": 10 * MIB, "free": 100 * MIB},
        "problems": [],
    }
    assert [list(item["cves"]) for item in found] == [["CVE-2023-0001", "CVE-2023-0002"]] * 2 + [
        ["CVE-2023-0001"],
        [],
        [],
    ]
    assert [item["running"] for item in found] == [False] * 3 + [True, False]
    assert [item["problems"] for item in found] == [[]] * 4 + [["it is older than the running kernel"]]


def test_the_best_has_the_longest_window(lab):
    assert lab.chosen()["edition"] == NEW.format(19)


def test_of_equal_windows_data_come_before_an_estimate_then_the_newer_kernel(lab):
    lab.ends = {7: "2024-07-01", 12: "2024-08-01", 19: "2024-08-01", 22: ""}
    for number, built in ((12, 1), (19, 1), (22, 1690934400)):  # 22: 2023-08-02 and 365 days
        lab.kernels[NEW.format(number)]["built"] = built
    found = lab.chosen()
    assert (found["edition"], found["window"]["estimated"]) == (NEW.format(19), False)
    lab.kernels[NEW.format(22)]["built"] += 86400
    found = lab.chosen()
    assert (found["edition"], found["window"]["estimated"]) == (NEW.format(22), True)


def test_a_window_that_nobody_knows_is_the_shortest(lab):
    lab.ends = {7: "", 12: "2024-07-19"}
    for number in (7, 19, 22):
        lab.kernels[NEW.format(number)]["built"] = None
    assert lab.chosen()["edition"] == NEW.format(12)
    assert lab.found()[0]["window"]["last"] is None


def test_the_running_kernel_may_be_the_best(lab):
    lab.ends[7] = "2025-01-01"
    assert lab.chosen()["running"]
    for number in (12, 19, 22):
        del lab.kernels[NEW.format(number)]
    assert lab.chosen()["running"]
    assert lab.chosen(KERNEL_PACKAGE)["running"]


@pytest.mark.parametrize("target", ["none", "", None])
def test_a_host_may_get_no_other_kernel(lab, target):
    assert lab.chosen(target) is None
    assert klp_target.summary(lab.minion.host) is None


def only(lab, **more):
    """Leave one newer kernel."""
    for number in (12, 22):
        del lab.kernels[NEW.format(number)]
    lab.kernels[NEW.format(19)].update(more)


def kmps(**more):
    return {"kmps": dict(GOOD, **more)}


def retracted(*ids, name="kernel-default", edition=None):
    return [advisory(19, status="retracted", ident=ident, name=name, edition=edition) for ident in ids]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda lab: lab.advisories.extend(retracted("R-1")), "its vendor has withdrawn it (retracted: R-1)"),
        (lambda lab: lab.live.pop(LP.format(19)), f"{LP.format(19)} is in no repository"),
        (
            lambda lab: lab.advisories.extend(
                item
                for number in "123"
                for item in retracted(f"R-{number}", name=LP.format(19), edition=f"{number}-1.1")
            ),
            "its vendor has withdrawn its live patch 3-1.1",
        ),
        (lambda lab: only(lab, **kmps(missing=["a-kmp-default"])), "there is no build of a-kmp-default for it"),
        (
            lambda lab: only(lab, **kmps(unknown=["a-kmp-default"])),
            "whether there is a build of a-kmp-default for it is not known",
        ),
        (lambda lab: setattr(lab, "free", 9), "{} has 9 MiB free, and it needs 10 MiB there: make room"),
    ],
)
def test_what_does_not_qualify_is_refused_with_its_reason(lab, change, why):
    change(lab)
    for number in (12, 22):
        lab.kernels.pop(NEW.format(number), None)
    why = why.format(klp_paths.BOOT)
    assert lab.refused() == f"{NONE}{NEW.format(19)}: {why}"
    by_name = f"pillar klp:kernel:target: kernel-default {NEW.format(19)} does not qualify: {why}"
    assert lab.refused(NEW.format(19)) == by_name


def test_what_one_more_kernel_needs_is_not_known_without_the_files_of_the_running_one(lab):
    only(lab)
    os.unlink(f"{klp_paths.BOOT}/initrd-{KERNEL}")
    why = f"what it needs in {klp_paths.BOOT} is not known, as the files of kernel {KERNEL} are not there"
    assert lab.refused() == f"{NONE}{NEW.format(19)}: {why}"
    lab.kernels[NEW.format(19)]["installed"] = True
    assert lab.chosen()["boot"] == {"needed": 0, "free": 100 * MIB}


def test_a_boot_that_cannot_be_asked_is_an_error(lab, monkeypatch):
    def gone(path):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "statvfs", gone)
    assert lab.refused() == f"{klp_paths.BOOT}: Input/output error"


def test_the_window_refuses_where_the_pillar_says_so(lab):
    only(lab)
    lab.ends[19] = "2023-11-01"
    assert lab.chosen()["running"]
    lab.minion.pillar["klp"] = {"window": {"refuse": ["expired"]}}
    with pytest.raises(CommandExecutionError) as raised:
        klp_target.choose(lab.minion.host)
    assert str(raised.value) == (
        f"{NONE}{NEW.format(19)}: its window is expired (live patches were made until 2023-11-01), "
        "and pillar klp:window:refuse says to stop"
    )


def test_an_older_kernel_is_never_one(lab):
    why = "it is older than the running kernel"
    assert lab.refused(NEW.format(3)) == (
        f"pillar klp:kernel:target: kernel-default {NEW.format(3)} does not qualify: {why}"
    )


def test_another_build_of_the_running_kernel_is_none(lab):
    """It has the same uname -r and the same files in /boot: the two cannot stand side by side."""
    rebuilt = "5.14.21-150500.55.7.2"
    lab.kernels[rebuilt] = lab.kernel()
    lab.live[LP.format(7)] = ["1-1.1"]
    assert "same files" in lab.refused(rebuilt)
    for number in (12, 19, 22):
        del lab.kernels[NEW.format(number)]
    assert lab.chosen()["edition"] == KERNEL_PACKAGE


def test_a_running_kernel_whose_package_is_gone_is_no_other_kernel(lab):
    has(lab.minion, "3-150500.2.1", **{"kernel-default": ""})
    lab.kernels[KERNEL_PACKAGE]["installed"] = False
    assert [item["edition"] for item in lab.found() if item["running"]] == [KERNEL_PACKAGE]
    assert lab.chosen()["edition"] == NEW.format(19)


def test_reasons_of_many_are_counted(lab):
    for number in range(100, 120):
        lab.kernels[NEW.format(number)] = lab.kernel(**kmps(missing=["a-kmp-default", "b-kmp-default"]))
    for number in (12, 19, 22):
        del lab.kernels[NEW.format(number)]
    said = lab.refused()
    assert said.count("no build of a-kmp-default") == 10
    assert said.endswith("; and 10 more, see klp_audit.kernels")


def test_a_target_that_is_nowhere_is_named_with_what_is_there(lab, monkeypatch):
    there = ", ".join(NEW.format(number) for number in (22, 19, 12, 7, 3))
    monkeypatch.setattr(klp_target.zypp_solver, "repositories", lambda: ["a"])
    expected = f"pillar klp:kernel:target: kernel-default 9.9-1.1 is in no repository; there are: {there}"
    assert lab.refused("9.9-1.1") == expected
    monkeypatch.setattr(klp_target.zypp_solver, "repositories", list)
    assert lab.refused("9.9-1.1") == klp_target.zypp_solver.NO_REPOSITORIES


def test_without_any_package_of_a_kernel_there_is_none(lab):
    lab.kernels.clear()
    assert lab.refused() == f"{NONE}kernel-default is in no repository and not installed"


def test_whether_kernels_are_withdrawn_may_not_be_known(lab):
    lab.advisories = [advisory(1, "CVE-2023-0001", name="curl")]
    assert [item["retracted"] for item in lab.found()] == [None] * 5
    assert lab.chosen()["edition"] == NEW.format(19)


def test_what_was_withdrawn_closes_nothing_and_its_cves_are_those_of_other_advisories(lab):
    lab.advisories = [advisory(19, "CVE-2023-0001", status="retracted"), advisory(22, "CVE-2023-0001")]
    assert [list(item["cves"]) for item in lab.found()][:3] == [["CVE-2023-0001"], [], []]


def test_the_document_has_the_target(lab):
    lab.found(target="best")
    assert klp_target.summary(lab.minion.host) == {
        "package": "kernel-default",
        "release": "5.14.21-150500.55.19-default",
        "edition": NEW.format(19),
        "live_patch": "3-1.1",
        "window_last": "2024-09-01",
        "estimated": False,
        "cves": {"critical": 1, "important": 0, "moderate": 0, "low": 0, "unspecified": 1},
        "problem": None,
    }


def test_the_document_has_the_reason_why_there_is_no_target(lab):
    only(lab, **kmps(missing=["a-kmp-default"]))
    lab.found(target="best")
    found = klp_target.summary(lab.minion.host)
    assert found["problem"] == f"{NONE}{NEW.format(19)}: there is no build of a-kmp-default for it"
    assert {key for key in found if found[key] is not None} == {"cves", "problem"}


def test_a_host_without_live_patches_gets_no_kernel(lab, uname):
    uname("5.14.21-150500.33.6-azure")
    assert klp_target.summary(lab.minion.host) is None


def test_the_lifecycle_data_are_read_once(lab, monkeypatch):
    calls, lifecycle = [], klp_window.lifecycle

    def counted():
        calls.append(1)
        return lifecycle()

    monkeypatch.setattr(klp_window, "lifecycle", counted)
    lab.found()
    assert len(calls) == 1
