"""What a host says about itself: CVEs, window, document, grain, alarms; with the real zypper and rpm."""

import datetime
import json
import time

import pytest

from tests.functional.conftest import ADVISORY, KERNEL_EDITION, LP, SECOND, THIRD, apply, settings
from tests.functional.documents import LIVE, REBOOT, document
from tests.unit.loader import load

LIFECYCLE = "/usr/share/lifecycle/data/sle-module-live-patching.lifecycle"
MODULE = "livepatch_3_150500_2_1"


def states(host):
    found: dict = {}
    answer = host.salt_call("klp_audit.cves").data
    for cve, item in answer["cves"].items():
        found.setdefault(item["state"], []).append(cve)
    return found, answer


def ends(host, days):
    """Let the window of the running kernel end in so many days."""
    today = datetime.datetime.now(datetime.timezone.utc).date()
    host.write(LIFECYCLE, f"{LP},*,{today + datetime.timedelta(days)}\n")


def test_a_covered_host_says_so(sles):
    host = sles("converged", group="web")
    ends(host, 100)
    found = document(host)
    assert (found["verdict"], found["checks"], found["problems"]) == ("ok", [], [])
    assert found["cves"]["fixed_live"] == LIVE
    assert (found["cves"]["pending"], found["cves"]["reboot"], found["cves"]["unknown"]) == ([], [REBOOT], [])
    assert found["cves"]["severity"][REBOOT] == "important"
    assert found["live_patch"] == {
        "package": LP,
        "edition": THIRD,
        "level": 3,
        "active": MODULE,
        "newest": THIRD,
        "held": None,
        "retracted": False,
    }
    assert (found["kernel_edition"], found["os"], found["group"]) == (KERNEL_EDITION, "sles-15.5", "web")
    assert (found["window"]["state"], found["window"]["days"]) == ("open", 100)
    assert found["window"]["source"] == f"{LIFECYCLE}:1"
    assert found["locks"] == {"missing": []}


def test_a_fresh_host_has_everything_before_it(sles):
    found, answer = states(sles("fresh"))
    assert found == {"pending": LIVE, "reboot": [REBOOT]}
    assert answer["live_patch"] == ""
    assert answer["cves"][LIVE[0]]["advisories"] == [
        ADVISORY + "2871",
        "SUSE-SLE-Module-Live-Patching-15-SP5-2023-3179",
    ]


def test_a_host_at_the_second_level_has_the_third_before_it(sles):
    host = sles("enabled", level=2)
    assert apply(host, "klp").rc == 0
    found, answer = states(host)
    assert found == {"fixed_live": LIVE[2:], "pending": LIVE[:2], "reboot": [REBOOT]}
    assert answer["live_patch"] == SECOND


def test_while_a_transition_runs_nothing_is_fixed(sles):
    host = sles("converged")
    host.load(MODULE, 1, 1)
    found, answer = states(host)
    assert found == {"unknown": LIVE, "reboot": [REBOOT]}
    assert answer["transition"] is True


@pytest.mark.parametrize(
    "fault",
    [
        {"klp_patches": {"stdout": f"{MODULE}\n    active: 1\nsurprise here\n"}},
        {"klp_patches": {"rc": 1, "stderr": "no"}},
        {"klp_patches": {"stdout": ""}},
    ],
)
def test_an_answer_of_klp_that_nobody_understands_fixes_nothing(sles, fault):
    host = sles("converged")
    host.faults(**fault)
    found, answer = states(host)
    assert "fixed_live" not in found and set(LIVE) <= set(found["unknown"])
    assert answer["reasons"]


def test_without_repositories_nothing_is_up_to_date(sles):
    host = sles("converged")
    for alias in ("SLE-Product-SLES15-SP5-Updates", "SLE-Module-Live-Patching15-SP5-Updates"):
        host.repo(alias, on=False)
    found, answer = states(host)
    assert found == {"fixed_live": LIVE}
    assert answer["reasons"] == [
        (
            "no enabled repository has updates of live patches, so nothing is known of newer ones; enable them with: "
            "zypper mr -e SLE-Module-Live-Patching15-SP5-Updates"
        ),
        "no advisory of kernel or live patch is to be seen: are the update repositories enabled?",
    ]


def test_a_newer_kernel_that_is_installed_but_does_not_run_fixes_nothing(sles):
    host = sles("converged")
    host.write("/etc/zypp/locks", "")
    assert host.zypper("install", "--no-recommends", "kernel-default=5.14.21-150500.55.12.1").returncode == 0
    found, _ = states(host)
    assert found == {"fixed_live": LIVE, "reboot": [REBOOT]}


def test_the_lifecycle_package_of_the_lab_says_that_the_window_is_over(sles):
    host = sles("converged")
    found = host.salt_call("klp_audit.window").data
    assert (found["state"], found["last"]) == ("expired", "2024-07-18")
    assert found["days"] < 0


def test_a_maintenance_run_is_refused_for_its_window_if_pillar_says_so(sles):
    host = sles("enabled", window={"refuse": ["expired", "unknown"]})
    before = host.packages()
    host.write(LIFECYCLE, "")
    answer = apply(host, "klp.patch")
    assert answer.rc != 0
    assert "is unknown (the lifecycle data have no line for this kernel yet)" in "".join(answer.failed.values())
    ends(host, -1)
    assert "is expired (live patches were made until" in "".join(apply(host, "klp.patch").failed.values())
    assert host.packages() == before
    ends(host, 1)
    assert apply(host, "klp.patch").rc == 0


def test_the_steady_state_is_not_refused_for_the_window(sles):
    assert apply(sles("enabled", window={"refuse": ["unknown"]}), "klp").rc == 0


def test_a_warm_document_starts_no_zypper(sles):
    host = sles("converged")
    document(host)
    host.forget_programs()
    document(host)
    assert host.count("zypper") == 0
    assert host.count("lsinitrd") == 0


def test_the_grain_tells_the_document_and_starts_no_program(sles):
    host = sles("converged")
    assert host.salt_call("grains.get", "klp").data["stale"] is True
    document(host)
    host.forget_programs()
    grain = host.salt_call("grains.get", "klp").data
    assert (grain["verdict"], grain["level"], grain["active"], grain["stale"]) == ("ok", 3, MODULE, False)
    assert not {"zypper", "klp", "lsinitrd"} & {program.argv[0].rsplit("/", 1)[-1] for program in host.programs()}
    host.unload(MODULE)
    assert host.salt_call("grains.get", "klp").data["verdict"] == "unknown"


def edges(host):
    return [(item["alarm"], item["edge"]) for item in host.salt_call("klp_audit.alarm_events").data]


def test_alarms_come_and_go_as_edges(sles):
    host = sles("enabled", alarms={"stalled": 1})
    ends(host, 100)
    assert apply(host, "klp").rc == 0
    assert edges(host) == []
    locks = host.locks()
    host.write("/etc/zypp/locks", "")
    host.load("livepatch_1_150500_9_3_1", 1, 1)
    assert edges(host) == [("locks", "raised")]
    time.sleep(1.1)  # the transition has to be older than pillar allows
    assert edges(host) == [("transition", "raised")]
    assert edges(host) == []
    host.write("/etc/zypp/locks", locks)
    host.finish_transition()
    ends(host, -1)
    assert edges(host) == [("window", "raised"), ("locks", "cleared"), ("transition", "cleared")]


def test_locks_that_somebody_takes_away_are_set_again_if_pillar_says_so(sles):
    host = sles("enabled", alarms={"repair_locks": True})
    ends(host, 100)
    assert apply(host, "klp").rc == 0
    locks = host.locks()
    host.write("/etc/zypp/locks", "")
    assert edges(host) == [("locks", "repaired")]
    assert host.locks() == locks
    assert edges(host) == []


def test_editions_are_compared_as_rpm_compares_them(sles):
    newer, host = load("_utils", "klp_cves").newer, sles("fresh")
    parts = [
        "1",
        "01",
        "10",
        "9",
        "1.0",
        "1.0a",
        "1.a",
        "1.0.1",
        "1~rc",
        "1~",
        "1^git",
        "1^git.1",
        "a",
        "2b",
        "b2",
        "1_1",
    ]
    pairs = [(one, two) for one in parts for two in parts]
    script = "".join(f'print(rpm.vercmp("{one}", "{two}") .. " ")\n' for one, two in pairs)
    done = host.run(["rpm", "--eval", f"%{{lua:{script}}}"])
    assert done.returncode == 0, done.stderr
    for (one, two), order in zip(pairs, done.stdout.split(), strict=True):
        assert newer(f"{one}-1", f"{two}-1") == (order == "1"), (one, two, order)
        assert newer(f"1-{one}", f"1-{two}") == (order == "1"), (one, two, order)


def test_a_document_is_kept_readable_by_root_only_and_facts_by_all(sles):
    host = sles("converged", pillar=settings(product={"regcode": "secret-code"}, facts="/var/lib/facts"))
    host.path("/var/lib/facts").mkdir(mode=0o755)
    assert document(host)["problems"] == []
    for folder in ("/var/lib/salt-klp", "/var/cache/salt-klp"):
        for path in host.path(folder).iterdir():
            assert path.stat().st_mode & 0o077 == 0, path
            assert "secret-code" not in path.read_text()
    assert [path.stat().st_mode & 0o777 for path in host.path("/var/lib/facts").iterdir()] == [0o644] * 2
    facts = json.loads(host.read("/var/lib/facts/salt-klp.json"))
    assert (facts["verdict"], facts["cves"]["fixed_live"]) == ("ok", LIVE)
    assert "secret-code" not in "".join(path.read_text() for path in host.path("/var/lib/facts").iterdir())
