"""A live patch that its vendor has withdrawn: nobody goes onto it, and a host that is on one says how to leave it."""

import pytest

from tests.functional.conftest import LOADED, LP, THIRD, apply, settings, snapshot, writes
from tests.functional.updates import ONLY_LIVE_PATCH
from tests.lab import mirror as mirrors
from tests.lab.advisories import LIVE, Advisory, bundle
from tests.lab.packages import Spec, change, live_patch

RELEASE = "150500.2.1"
LEVELS = (10, 16, 17)
TENTH, SIXTEENTH, SEVENTEENTH = (f"{level}-{RELEASE}" for level in LEVELS)
IDS = {level: f"{LIVE}40{level}" for level in LEVELS}
CVES = {level: f"CVE-2024-10{level}" for level in LEVELS}
MODULES = {f"{level}-{RELEASE}": f"livepatch_{level}_150500_2_1" for level in (3, *LEVELS)}
GONE = f"live patch {SEVENTEENTH} was withdrawn by its vendor (retracted: {IDS[17]})"
AGAIN = Advisory(f"{LIVE}4099", "security", "important", 1700000099, [(LP, "17", RELEASE)], (CVES[17],))


def advisory(level, status="stable"):
    """Return the advisory of a level: it brings live patches of other kernels as well, each at a level of its own."""
    packages = [(LP, str(level), RELEASE), *bundle(level)]
    return Advisory(IDS[level], "security", "important", 1700000000 + level, packages, (CVES[level],), status=status)


def changelog(level):
    """A live patch is cumulative: it fixes what the ones before have fixed."""
    return "\n".join(change("Tue Sep 19 2023", {CVES[old]: "bsc#1"}, "c") for old in reversed(LEVELS) if old <= level)


@pytest.fixture(scope="session")
def plain(tmp_path_factory):
    """A repository with the levels 10, 16 and 17, without advisories."""
    specs = [
        Spec(f"lp{level}", "", 1700000000 + level, [live_patch("150500.55.7", level, RELEASE)], changelog(level))
        for level in LEVELS
    ]
    return mirrors.build(tmp_path_factory.mktemp("levels"), specs)


@pytest.fixture
def offer(plain, tmp_path):
    """Give a host the repository, with these levels withdrawn; called again, the vendor withdraws others."""

    def publish(host, *gone, more=()):
        folder = tmp_path / f"repository-{len(list(tmp_path.iterdir()))}"
        advisories = [advisory(level, "retracted" if level in gone else "stable") for level in LEVELS]
        repository = mirrors.variant(plain, folder, [*advisories, *more])
        if not host.exists(mirrors.PLACE):
            mirrors.offer(host, repository)
            return
        mirrors.replace(host, repository)

    return publish


def at(host, edition):
    return host.editions(LP) == [edition] and host.live_patches() == {MODULES[edition]: LOADED}


def on(host, level):
    """Bring a host onto a level while it is good."""
    host.salt.pillar(settings(update=ONLY_LIVE_PATCH, level=level))
    assert apply(host, "klp").failed == {}
    assert at(host, f"{level}-{RELEASE}")
    host.salt.pillar(settings(update=ONLY_LIVE_PATCH))


def ask(host, fun, *args):
    answer = host.salt_call(fun, *args)
    assert answer.data is not None, answer.stderr
    return answer


def cves(host):
    found: dict = {}
    for cve, item in ask(host, "klp_audit.cves").data["cves"].items():
        found.setdefault(item["state"], set()).add(cve)
    return found


def refused(host, sls, text):
    before = snapshot(host)
    for test in (True, None):
        answer = apply(host, sls, test=test)
        assert answer.rc != 0 and any(text in comment for comment in answer.failed.values()), answer.failed
    after = snapshot(host)
    assert (after["packages"], after["live patches"], writes(host)) == (before["packages"], before["live patches"], [])


def test_zypper_itself_installs_it_by_its_edition_and_the_latest_is_the_good_one(sles, offer):
    """The prediction, the plan of a campaign and the run mean the same edition: the newest that was not withdrawn."""
    one = sles("converged", update=ONLY_LIVE_PATCH)
    offer(one, 17)
    assert "vR" in one.zypper("search", "--details", "--match-exact", LP).stdout
    assert one.zypper("install", "--dry-run", f"{LP}=17").returncode == 0
    found = ask(one, "klp.available").data
    assert [(item["level"], item["retracted"]) for item in found][:3] == [(17, True), (16, False), (10, False)]
    assert ask(one, "klp_audit.run_preview").data["changes"] == {LP: SIXTEENTH}
    assert apply(one, "klp.patch", test=True).changes["klp-updates"] == {LP: {"old": THIRD, "new": SIXTEENTH}}
    answer = apply(one, "klp.patch")
    assert answer.failed == {}
    assert at(one, SIXTEENTH)
    assert apply(one, "klp.patch").changes == {}
    document = ask(one, "klp_audit.host").data["live_patch"]
    assert (document["newest"], document["retracted"]) == (SIXTEENTH, False)
    states = cves(one)
    assert {CVES[10], CVES[16]} <= states["fixed_live"]
    assert "pending" not in states and CVES[17] in states["unknown"]


def test_a_solver_that_does_not_know_of_it_takes_the_good_one_all_the_same(sles, offer, plain, tmp_path):
    """Not every libsolv marks what was withdrawn, as Debian's does not: then its updates hold the withdrawn one."""
    one = sles("converged", update=ONLY_LIVE_PATCH)
    offer(one, 17)
    unmarked = mirrors.unmarked(plain, tmp_path / "unmarked", [advisory(10), advisory(16), advisory(17, "retracted")])
    mirrors.replace(one, unmarked)
    assert "vR" not in one.zypper("search", "--details", "--match-exact", LP).stdout
    assert apply(one, "klp.patch").failed == {}
    assert at(one, SIXTEENTH)


@pytest.mark.parametrize("golden", ["fresh", "enabled"])
@pytest.mark.parametrize("level", [17, SEVENTEENTH], ids=str)
def test_its_level_is_refused_and_the_next_good_one_is_named(sles, offer, golden, level):
    one = sles(golden, update=ONLY_LIVE_PATCH, level=level)
    offer(one, 17)
    refused(one, "klp", f"{GONE} and is not installed; the next good one is {SIXTEENTH}")
    one.salt.pillar(settings(update=ONLY_LIVE_PATCH, level=16))
    assert apply(one, "klp").failed == {}
    assert at(one, SIXTEENTH)


def test_a_fresh_host_gets_the_newest_good_one(sles, offer):
    one = sles("fresh", update=ONLY_LIVE_PATCH)
    offer(one, 17)
    assert apply(one, "klp").failed == {}
    assert at(one, SIXTEENTH)


def test_an_edition_that_another_advisory_brings_again_stays_withdrawn(sles, offer):
    """As libsolv decides: one advisory that is retracted is enough."""
    one = sles("converged", update=ONLY_LIVE_PATCH)
    offer(one, 17, more=[AGAIN])
    assert "vR" in one.zypper("search", "--details", "--match-exact", LP).stdout
    assert apply(one, "klp.patch").failed == {}
    assert at(one, SIXTEENTH)


def test_the_way_back_passes_over_it(sles, offer):
    one = sles("converged")
    offer(one)
    on(one, 17)
    offer(one, 16)
    one.zypper("refresh")
    one.salt.pillar(settings(update=ONLY_LIVE_PATCH, rollback={"level": 16}))
    said = f"live patch {SIXTEENTH} was withdrawn by its vendor (retracted: {IDS[16]}) and is not installed"
    refused(one, "klp.rollback", f"{said}; the next good one is {TENTH}")
    one.salt.pillar(settings(update=ONLY_LIVE_PATCH))
    answer = ask(one, "klp_audit.run_preview", "rollback").data
    assert (answer["target"], answer["refusals"]) == (TENTH, [])
    assert apply(one, "klp.rollback").failed == {}
    assert at(one, TENTH)
    assert ask(one, "klp.held").data["edition"] == TENTH
    again = apply(one, "klp.rollback")
    assert (again.failed, again.changes, one.count("zypper")) == ({}, {}, 0)


def test_a_host_that_is_on_one_is_red_until_it_has_left(sles, offer):
    one = sles("converged")
    offer(one)
    on(one, 17)
    assert ask(one, "klp.verify").data["verdict"] == "ok"
    offer(one, 17)
    one.zypper("refresh")

    leave = "leave it with: salt sles1 state.apply klp.rollback"
    check = {"check": "retracted", "verdict": "failed"}
    verified = ask(one, "klp.verify")
    (found,) = [item for item in verified.data["checks"] if item["check"] == "retracted"]
    assert (verified.rc, verified.data["verdict"]) == (1, "failed")
    assert found == {**check, "detail": f"{GONE}; {leave}, or with klp.patch once a newer one is there"}
    document = ask(one, "klp_audit.host").data
    assert (document["verdict"], document["checks"]) == ("failed", [found])
    assert (document["live_patch"]["retracted"], document["live_patch"]["newest"]) == (True, SIXTEENTH)
    assert CVES[17] in document["cves"]["fixed_live"] and document["cves"]["pending"] == []
    assert ask(one, "klp_audit.alarms").data["raised"]["live_patch_retracted"] == f"{GONE}; {leave}"
    preview = ask(one, "klp_audit.run_preview").data
    assert preview["refusals"] == [
        f"{GONE}, and no newer one is there: a run would end as failed; first {leave}",
    ]
    converged = apply(one, "klp")  # which does not verify, and has nothing to change
    assert (converged.failed, converged.changes, one.count("zypper")) == ({}, {}, 0)
    maintenance = apply(one, "klp.patch")
    assert ("klp-verified" in maintenance.failed, maintenance.changes) == (True, {})
    assert at(one, SEVENTEENTH)

    assert apply(one, "klp.rollback").failed == {}
    assert at(one, SIXTEENTH)
    assert ask(one, "klp.verify").data["verdict"] == "ok"
    assert "live_patch_retracted" not in ask(one, "klp_audit.alarms").data["raised"]
    assert ask(one, "klp_audit.host").data["live_patch"]["retracted"] is False


def test_a_held_one_that_is_withdrawn_is_left_by_the_same_command(sles, offer):
    """Back from 17 to 16, and then 16 is withdrawn as well: the same command goes on to 10."""
    one = sles("converged")
    offer(one)
    on(one, 17)
    assert apply(one, "klp.rollback").failed == {} and at(one, SIXTEENTH)
    offer(one, 16, 17)
    one.zypper("refresh")
    assert ask(one, "klp.verify").data["verdict"] == "failed"
    assert apply(one, "klp.rollback").failed == {}
    assert at(one, TENTH)
    assert ask(one, "klp.verify").data["verdict"] == "ok"


def test_one_that_the_kernel_has_lost_is_not_loaded_again(sles, offer):
    one = sles("converged")
    offer(one)
    on(one, 17)
    one.unload(MODULES[SEVENTEENTH])
    offer(one, 17)
    one.zypper("refresh")
    answer = apply(one, "klp")
    assert f"{GONE} and is not installed" in answer.failed["klp-level"]
    assert one.live_patches() == {}


def test_advisories_that_python_cannot_unpack_are_asked_of_zypper(sles, offer):
    """A file of another kind: zypper knows it, and is asked once for each change of the metadata."""
    one = sles("converged", update=ONLY_LIVE_PATCH)
    offer(one)
    on(one, 17)
    offer(one, 17)
    one.zypper("refresh")
    (path,) = one.path("/var/cache/zypp/raw/mirror/repodata").glob("*updateinfo.xml.gz")
    path.write_bytes(b"\x28\xb5\x2f\xfd not unpacked here")
    for number in (2, 0):
        one.forget_programs()
        assert ask(one, "klp.verify").data["verdict"] == "failed"
        assert one.count("zypper") == number


def test_rpm_refuses_a_live_patch_while_a_transition_runs(sles, offer):
    """The package's own %pre: the transition began after everything was looked at."""
    one = sles("converged", update=ONLY_LIVE_PATCH)
    offer(one)
    one.load("livepatch_3_150500_2_1", 1, 1)
    done = one.zypper("install", f"{LP}=16")
    assert done.returncode == 8 and one.editions(LP) == [THIRD]
    assert "transition is in progress" in done.stdout + done.stderr
