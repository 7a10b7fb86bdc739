"""klp_audit.cves and the advisories that touch a kernel, over scripted programs and recorded answers."""

import json
import os

import pytest
from salt.exceptions import CommandExecutionError, SaltInvocationError

import klp_paths
import klp_sys
import zypp_advisories
import zypp_solver
from tests.unit.conftest import KERNEL, LP
from tests.unit.hosts import LATER, reads
from tests.unit.loader import recorded

NAMES = ["kernel-default", LP, "kernel-livepatch-tools", "lifecycle-data-sle-module-live-patching"]
EDITION, THIRD = "5.14.21-150500.55.7.1", "3-150500.2.1"
PATTERNS = ["kernel-default", "kernel-livepatch-*"]
SEARCH = ["search", "--type", "patch", "--conflicts", *PATTERNS]
LIST = ["list-patches", "--all"]
INFO = ["info", "--type", "patch"]
IDS = [f"SUSE-SLE-Module-{part}" for part in ("Basesystem-15-SP5-2023-2871", "Live-Patching-15-SP5-2023-3001")]
IDS.append("SUSE-SLE-Module-Live-Patching-15-SP5-2023-3179")
CHANGELOG = recorded("rpm/changelog-third.txt")
FOUND = recorded("zypper/search-conflicts.xml")
LIVE = ["CVE-2023-3090", "CVE-2023-2002", "CVE-2023-1281", "CVE-2023-1077"]
REBOOT = "CVE-2023-2156"


@pytest.fixture
def host(minion):
    """A host with the third live patch active."""
    minion.rpm_q(NAMES, {"kernel-default": EDITION, LP: THIRD, "kernel-livepatch-tools": "1.4-1"})
    minion.live_patch("livepatch_3_150500_2_1")
    minion.programs.on(["klp", "-v", "patches"], recorded("klp/lab-patches-converged.txt"))
    minion.programs.on(["rpm", "-q", "--changelog", f"{LP}-{THIRD}"], CHANGELOG)
    reads(minion, SEARCH, FOUND)
    reads(minion, LIST, recorded("zypper/list-patches-all.xml"))
    reads(minion, [*INFO, *IDS], recorded("zypper/info-patches.txt"), xml=False)
    return minion


def cves(minion, *only):
    return minion.salt["klp_audit.cves"](*only)


def touching(minion, patterns):
    return zypp_advisories.touching(minion.host, patterns)


def states(answer):
    found: dict = {}
    for cve, item in answer["cves"].items():
        found.setdefault(item["state"], []).append(cve)
    return found


def test_each_cve_has_its_state_and_its_sources(host):
    answer = cves(host)
    assert states(answer) == {"fixed_live": LIVE, "reboot": [REBOOT]}
    assert answer["cves"][REBOOT] == {
        "state": "reboot",
        "severity": "important",
        "klp": False,
        "changelog": False,
        "advisories": [IDS[0]],
    }
    assert (answer["kernel"], answer["live_patch"], answer["transition"]) == (KERNEL, THIRD, False)
    assert (answer["contradictions"], answer["reasons"]) == ([], [])


def test_slow_answers_are_kept_until_packages_change(host):
    first = cves(host)
    host.programs.calls.clear()
    assert cves(host) == first
    assert [call[0] for call in host.programs.calls] == ["rpm"]
    host.changed()
    cves(host)
    assert [LATER in argv for argv in host.programs.started("zypper")] == [False, True, True]
    assert len(host.programs.started("klp")) == 1


def test_a_damaged_record_costs_time_only(host):
    first = cves(host)
    for name in os.listdir(klp_paths.CACHE):
        host.file(f"{klp_paths.CACHE}/{name}", "{")
    host.programs.calls.clear()
    assert cves(host) == first
    assert len(host.programs.started("zypper")) == 3


def test_an_older_live_patch_leaves_the_newer_ones_pending(host):
    second = "2-150500.2.1"
    host.changed()
    host.rpm_q(NAMES, {"kernel-default": EDITION, LP: second})
    host.programs.on(
        ["klp", "-v", "patches"],
        f"livepatch_2_150500_2_1\n    active: 1\n    RPM: {LP}-{second}.x86_64\n    CVE: CVE-2023-1281 CVE-2023-1077\n",
    )
    host.programs.on(
        ["rpm", "-q", "--changelog", f"{LP}-{second}"],
        "* Wed Aug 16 2023 kernel-livepatch@suse.de\n- Fix for CVE-2023-1077\n  KLP: CVE-2023-1281\n",
    )
    host.live_patch("livepatch_3_150500_2_1", 0)
    host.live_patch("livepatch_2_150500_2_1")
    assert states(cves(host)) == {
        "fixed_live": ["CVE-2023-1281", "CVE-2023-1077"],
        "pending": ["CVE-2023-3090", "CVE-2023-2002"],
        "reboot": [REBOOT],
    }


def test_without_the_files_of_the_kernel_it_is_not_known_what_is_fixed(host):
    os.rename(klp_paths.LIVEPATCH, f"{host.root}/gone")
    host.changed()
    host.rpm_q(NAMES, {"kernel-default": EDITION})
    answer = cves(host)
    assert states(answer) == {"unknown": LIVE, "reboot": [REBOOT]}
    assert answer["live_patch"] is None
    assert answer["reasons"] == [f"{klp_paths.LIVEPATCH}: No such file or directory; {klp_sys.NOT_SEEN}"]
    assert not host.programs.started("klp")


def test_while_a_transition_runs_nothing_is_called_fixed(host):
    host.live_patch("livepatch_3_150500_2_1", 1, 1)
    answer = cves(host)
    assert answer["transition"] is True
    assert states(answer) == {"unknown": LIVE, "reboot": [REBOOT]}


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("livepatch_3_150500_2_1\n    active: 1\nwhat is this\n", "klp -v patches: unknown line 'what is this'"),
        ({"retcode": 1, "stderr": "broken"}, "klp -v patches: exit 1: broken"),
        (
            "livepatch_9_1\n    active: 1\n    CVE: CVE-2023-1077\n",
            "klp -v patches says livepatch_9_1 is active, the kernel says livepatch_3_150500_2_1",
        ),
        ("", "klp -v patches says none is active, the kernel says livepatch_3_150500_2_1"),
    ],
)
def test_an_answer_of_klp_that_nobody_understands_fixes_nothing(host, said, why):
    host.programs.on(["klp", "-v", "patches"], said)
    answer = cves(host)
    assert states(answer) == {"unknown": LIVE, "reboot": [REBOOT]}
    assert answer["reasons"] == [why]


def test_klp_and_changelog_that_disagree_give_unknown_and_both_are_shown(host):
    host.programs.on(["rpm", "-q", "--changelog", f"{LP}-{THIRD}"], CHANGELOG.replace("CVE-2023-3090", "CVE-2023-9999"))
    answer = cves(host)
    assert states(answer)["unknown"] == ["CVE-2023-9999", "CVE-2023-3090"]
    assert (answer["cves"]["CVE-2023-3090"]["klp"], answer["cves"]["CVE-2023-3090"]["changelog"]) == (True, False)
    assert len(answer["contradictions"]) == 2
    for only in ("CVE-2023-9999,CVE-2000-1000", ["CVE-2023-9999"]):
        one = cves(host, only)
        assert one["cves"] == {"CVE-2023-9999": answer["cves"]["CVE-2023-9999"]}
        assert [line.partition(":")[0] for line in one["contradictions"]] == ["CVE-2023-9999"]


@pytest.mark.parametrize("only", [7, "", [7], {"CVE-2023-3090": 1}, "CVE-2023-3090;id"])
def test_only_takes_ids_of_cves(host, only):
    with pytest.raises(SaltInvocationError, match="only: wanted ids of CVEs such as CVE-2026-31431, found"):
        cves(host, only)


def test_a_changelog_of_another_form_is_a_reason_and_no_source(host):
    host.programs.on(["rpm", "-q", "--changelog", f"{LP}-{THIRD}"], "(none)\n")
    answer = cves(host)
    assert answer["reasons"] == ["rpm -q --changelog: no entry in '(none)'"]
    assert states(answer)["fixed_live"] == LIVE
    assert answer["cves"][LIVE[0]]["changelog"] is None


def test_a_live_patch_that_no_package_has_brought_is_unknown(host):
    host.changed()
    host.rpm_q(NAMES, {"kernel-default": EDITION})
    host.programs.on(["klp", "-v", "patches"], "livepatch_3_150500_2_1\n    active: 1\n    CVE: CVE-2023-1077\n")
    answer = cves(host)
    assert answer["live_patch"] is None
    assert answer["reasons"] == ["no package is known to have brought the active live patch livepatch_3_150500_2_1"]
    assert "pending" not in states(answer)


def test_the_edition_may_come_from_klp_where_rpm_has_another_one(host):
    host.changed()
    host.rpm_q(NAMES, {"kernel-default": EDITION, LP: "4-150500.2.1"})
    assert cves(host)["live_patch"] == THIRD


def test_a_running_kernel_without_a_package_is_said(host):
    host.changed()
    host.rpm_q(NAMES, {LP: THIRD})
    answer = cves(host)
    assert answer["reasons"] == [f"no package of the running kernel {KERNEL} is installed, or more than one"]
    assert "reboot" not in states(answer)


def test_zypper_that_fails_leaves_what_the_host_knows_itself(host):
    reads(host, SEARCH, {"retcode": 6})
    answer = cves(host)
    assert states(answer) == {"fixed_live": LIVE}
    assert answer["reasons"] == ["zypper search: exit 6 (no repositories are defined): no output"]


def test_no_advisory_at_all_is_not_up_to_date(host):
    nothing = {"retcode": 104, "stdout": recorded("zypper/search-nothing.xml")}
    reads(host, SEARCH, nothing)
    assert cves(host)["reasons"] == [
        "no advisory of kernel or live patch is to be seen: are the update repositories enabled?"
    ]


def test_strange_ids_are_named_and_left_out(host):
    text = recorded("zypper/list-patches-all.xml").replace('id="CVE-2023-2156"', 'id="CVE-2023-XXXX"')
    reads(host, LIST, text)
    answer = cves(host)
    assert answer["reasons"] == ["CVE ids of unknown form in advisories: CVE-2023-XXXX"]
    assert REBOOT not in answer["cves"]


def test_an_unreadable_kernel_makes_the_live_patch_unknown(host):
    host.live_patch("livepatch_3_150500_2_1", 7)
    answer = cves(host)
    assert answer["live_patch"] is None
    assert "unknown value '7'" in answer["reasons"][0]
    assert "fixed_live" not in states(answer)


def test_touching_asks_in_parts(host, monkeypatch):
    monkeypatch.setattr(zypp_solver, "PART", 2)
    text = recorded("zypper/info-patches.txt")
    for part in (IDS[:2], IDS[2:]):
        reads(host, [*INFO, *part], text, xml=False)
    found = touching(host, PATTERNS)
    infos = [[item for item in argv if item.startswith("SUSE")] for argv in host.programs.started("zypper")]
    assert infos[-2:] == [IDS[:2], IDS[2:]]
    assert [item["id"] for item in found] == IDS
    assert found[0]["packages"]["kernel-default"] == "5.14.21-150500.55.12.1"
    assert json.dumps(found)


def test_an_advisory_that_only_search_knows_is_an_error(host):
    reads(host, [*INFO, *IDS], "", xml=False)
    with pytest.raises(CommandExecutionError, match="is found by search, but not by list-patches and info"):
        touching(host, PATTERNS)
    reads(host, SEARCH, "no xml")
    with pytest.raises(CommandExecutionError, match="not XML"):
        touching(host, PATTERNS)


@pytest.mark.parametrize("patterns", [[], "kernel", ["-x"], ["a b"], ["*"], [7], None, ["a*b"]])
def test_hostile_patterns_start_nothing(host, patterns):
    with pytest.raises(SaltInvocationError, match="patterns: wanted a list of package names"):
        touching(host, patterns)
    assert host.programs.calls == []
