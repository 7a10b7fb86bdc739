"""Hosts that cannot know what is pending: each answer says so, nothing is changed, and the command it names helps."""

import gzip
import json
import shlex
import sys
import time

import pytest

from tests.functional.commands import CALLS
from tests.functional.conftest import FIRST, LOCKS, LP, THIRD, apply, snapshot
from tests.functional.documents import document
from tests.functional.refusal import refused
from tests.lab import mirror, packages

UPDATES, LP_UPDATES, LP_POOL = packages.SLES_UPDATES, packages.LP_UPDATES, packages.LP_POOL
NO_UPDATES = "no enabled repository has updates of what is installed here, so nothing is known of pending ones; {}"
NO_LIVE = "no enabled repository has updates of live patches, so nothing is known of newer ones; {}"
ENABLE = "enable them with: zypper mr -e {}"
REGISTER = "register this host (SUSEConnect), or give it the channels of updates, then run: zypper refresh"
ACTIVATE = (
    "activate the product sle-module-live-patching (SUSEConnect --list-extensions), or give this host its channels"
)
NOT_READ = "repository {} cannot be read, so what it has is not known; look with: zypper refresh"
NONE = "no enabled repositories in /etc/zypp/repos.d: register the host, or enable one with: zypper mr -e ALIAS"
ASKED = ("zypper.advisories", "zypper.pending", "klp.pending", "klp.available")
SERVICE = "[Live_Patching_x86_64]\nname=LP\nenabled=1\nautorefresh=0\nurl=dir:///srv/service\ntype=ris\n"
DAY = 86400


def ask(host, *functions):
    """Return what functions say: their data, or the sentence with which they fail."""
    host.salt.sync()
    calls = [["--local", "--retcode-passthrough", "--out", "json", *function.split()] for function in functions]
    done = host.run([sys.executable, str(CALLS)], input=json.dumps(calls), timeout=540)
    assert done.returncode == 0, done.stderr
    return [_answer(code, text) for code, text in json.loads(done.stdout)]


def _answer(code, text):
    if "Error running" in text:
        assert code != 0, text
        return text.split("': ", 1)[1].strip()
    return json.loads(text)["local"]


def blind(host, updates, live):
    """Ask everything that could say "nothing": it says why nothing is known (``None``: it knows)."""
    before = snapshot(host)
    advisories, pending, all_pending, available, preview = ask(host, *ASKED, "klp_audit.run_preview")
    told = [isinstance(said, str) and said for said in (advisories, pending, all_pending, available)]
    assert told == [updates or False, updates or False, updates or live or False, live or False]
    assert live or available[0]["edition"] == THIRD
    assert preview["refusals"] == [problem for problem in (updates, live) if problem]
    assert snapshot(host) == before


def strip(host, *aliases, text=None):
    """Let repositories have no advisory: no file of them, or one that is empty."""
    mirror.age(host, 0, *aliases)
    for alias in aliases:
        place = f"/srv/aged/{alias}/repodata"
        commands = [["modifyrepo_c", "--remove", "updateinfo", place]]
        if text is not None:
            host.write("/srv/updateinfo.xml", text)
            commands.append(["modifyrepo_c", "--mdtype=updateinfo", "/srv/updateinfo.xml", place])
        for command in [*commands, ["zypper", "-n", "refresh", "--force", alias]]:
            done = host.run(command, count=False)
            assert done.returncode == 0, done.stdout + done.stderr


def cure(host, sentence):
    """Run the command that a sentence ends with."""
    command = sentence.rsplit(": ", 1)[1]
    assert command.startswith("zypper "), sentence
    assert host.run(shlex.split(command), count=False).returncode == 0


def test_all_update_repositories_disabled_is_not_up_to_date(sles):
    """The run ended with "no packages to install", verdict ok, exit code 0."""
    host = sles("converged")
    host.repo(UPDATES, on=False)
    host.repo(LP_UPDATES, on=False)
    updates, live = NO_UPDATES.format(ENABLE.format(UPDATES)), NO_LIVE.format(ENABLE.format(LP_UPDATES))
    blind(host, updates, live)
    refused(host, "klp.patch", {"klp-repositories": f"{updates}\n{live}"})
    found = document(host)
    assert found["live_patch"]["newest"] is None
    assert f"newest live patch: {live}" in found["problems"]
    assert updates in found["updates"]["reason"] and found["updates"]["left_out"] == []
    assert live in found["cves"]["reason"]
    assert apply(host, "klp").failed == {}  # the steady state asks nobody for anything newer
    cure(host, updates)
    blind(host, None, live)
    refused(host, "klp.patch", {"klp-repositories": live})
    cure(host, live)
    answer = apply(host, "klp.patch")
    assert (answer.rc, answer.failed) == (0, {})
    assert document(host)["live_patch"]["newest"] == THIRD


def test_live_patches_are_not_enabled_from_the_product_as_it_was_delivered(sles):
    host = sles("fresh")
    host.repo(LP_UPDATES, on=False)
    live = NO_LIVE.format(ENABLE.format(LP_UPDATES))
    refused(host, "klp", {"klp-backup-enable": live})
    cure(host, live)
    assert apply(host, "klp").failed == {}
    assert host.editions(LP) == [THIRD]


@pytest.mark.parametrize("defined", [True, False])
def test_no_repository_at_all(sles, defined):
    host = sles("converged")
    for alias in packages.REPOSITORIES:
        if defined:
            host.repo(alias, on=False)
        else:
            host.path(f"/etc/zypp/repos.d/{alias}.repo").unlink()
    assert ask(host, *ASKED) == [NONE] * 4
    refused(host, "klp.patch", {"klp-repositories": NONE})


def test_a_level_that_is_installed_needs_no_newer_one(sles):
    host = sles("converged", level=THIRD)
    host.repo(LP_UPDATES, on=False)
    answer = apply(host, "klp.patch")
    assert (answer.rc, answer.failed) == (0, {})


def test_metadata_that_are_gone_are_fetched_again(sles):
    host = sles("converged")
    for folder in ("raw", "solv"):
        host.run(["rm", "-rf", f"/var/cache/zypp/{folder}/{UPDATES}", f"/var/cache/zypp/{folder}/{LP_UPDATES}"])
    blind(host, None, None)


def test_metadata_without_advisories_are_no_updates(sles):
    host = sles("converged")
    strip(host, UPDATES, LP_UPDATES)
    blind(host, NO_UPDATES.format(REGISTER), NO_LIVE.format(ACTIVATE))


def test_a_new_product_has_no_update_yet(sles):
    """Its repositories of updates are there and empty."""
    host = sles("enabled")
    strip(host, UPDATES, LP_UPDATES, text="<updates/>\n")
    service = "service=Live_Patching_x86_64\n"  # zypper removes repositories of a service that it does not know
    host.write("/etc/zypp/services.d/lp.service", SERVICE)
    for alias in (LP_UPDATES, LP_POOL):
        host.write(f"/etc/zypp/repos.d/{alias}.repo", host.read(f"/etc/zypp/repos.d/{alias}.repo") + service)
    advisories, available = ask(host, "zypper.advisories", "klp.available")
    assert advisories == [] and [item["edition"] for item in available][-1] == FIRST
    assert ask(host, "klp.preflight refresh=True") == [[]]


def test_no_live_patch_yet_is_an_answer_for_a_new_kernel(sles):
    host = sles("converged", kernel="5.14.21-150500.55.99-default")
    available, live, rest = ask(host, "klp.available", "klp.preflight refresh=True", "zypper.advisories")
    assert available == [] and isinstance(rest, list)
    assert len(live) == 1 and live[0].startswith(
        "the package of the running kernel 5.14.21-150500.55.99-default is not"
    )


def test_the_way_back_needs_only_what_it_leads_to(sles):
    host = sles("converged", rollback={"level": 1})
    host.repo(LP_UPDATES, on=False)
    answer = apply(host, "klp.rollback")
    assert (answer.rc, answer.failed) == (0, {})
    assert host.editions(LP) == [FIRST]
    host.repo(LP_UPDATES)
    assert apply(host, "klp.patch").failed == {}
    left = {item["id"][-4:]: item["reason"] for item in document(host)["updates"]["left_out"]}
    held = f"this host went back to live patch {FIRST} and is held there; let newer ones come with: salt {host.name} "
    assert (left["3001"], left["3179"]) == (f"{held}klp.unhold", f"{held}klp.unhold")


def test_channels_of_another_server_have_other_names(sles):
    host = sles("converged")
    for number, alias in enumerate(packages.REPOSITORIES):
        file = f"/etc/zypp/repos.d/{alias}.repo"
        text = host.read(file).replace(f"[{alias}]", f"[manager:channel-{number}]\nname=Channel {number}")
        host.path(file).unlink()
        host.write(f"/etc/zypp/repos.d/manager:{number}.repo", text)
    blind(host, None, None)
    answer = apply(host, "klp.patch")
    assert (answer.rc, answer.failed) == (0, {})


def test_a_login_page_in_place_of_metadata_is_not_an_empty_repository(sles):
    """zypper takes it for an empty repository, exit code 0, where signatures are not checked."""
    host = sles("converged")
    mirror.age(host, 0, UPDATES, LP_UPDATES)
    for alias in (UPDATES, LP_UPDATES):
        host.write(f"/srv/aged/{alias}/repodata/repomd.xml", "<html><body>Log in first</body></html>\n")
    assert host.zypper("refresh", "--force", count=False).returncode == 0
    said = NOT_READ.format(f"{LP_UPDATES}, {UPDATES}")
    assert ask(host, *ASKED) == [said] * 4
    refused(host, "klp.patch", {"klp-repositories": said})
    found = document(host)["updates"]
    assert {item["alias"]: item["frozen"] for item in found["repositories"] if item["frozen"] is not False} == {
        UPDATES: None,
        LP_UPDATES: None,
    }


def test_not_found_does_not_hide_a_repository_that_was_skipped(sles):
    """Exit code 104 hides 106: "not found" of the others, while the one that has it could not be read."""
    host = sles("fresh")
    host.repo(LP_UPDATES, on=False)
    host.repo(LP_POOL, on=False)
    host.write("/etc/zypp/repos.d/dead.repo", "[dead]\nenabled=1\nautorefresh=1\nbaseurl=dir:///nowhere\ngpgcheck=0\n")
    (said,) = ask(host, f"zypper.editions {LP}")
    assert said.startswith("repository dead cannot be read (zypper exit 104): Repository 'dead' is invalid.")


def test_advisories_that_python_cannot_unpack_are_asked_of_zypper(sles):
    host = sles("converged")
    mirror.age(host, 0, UPDATES, LP_UPDATES)
    for alias in (UPDATES, LP_UPDATES):
        (packed,) = host.path(f"/var/cache/zypp/raw/{alias}/repodata").glob("*updateinfo.xml.gz")
        packed.write_bytes(gzip.decompress(packed.read_bytes()))  # its name says that it is packed
    blind(host, None, None)


# -- mirrors that stand still ------------------------------------------------------------------------------------------


def frozen(host):
    """Return which repositories stand still by the document, and the age in days of each that holds updates."""
    found = document(host)["updates"]["repositories"]
    assert [item["alias"] for item in found] == sorted(packages.REPOSITORIES)
    age = {item["alias"]: round((time.time() - item["time"]) / DAY) for item in found}
    return {item["alias"]: item["frozen"] for item in found if item["frozen"] is not False}, age


def test_a_mirror_that_stands_still(sles):
    host = sles("converged")
    assert frozen(host) == ({}, dict.fromkeys(packages.REPOSITORIES, 0))
    mirror.age(host, 400, *packages.REPOSITORIES)
    found, age = frozen(host)
    assert found == {UPDATES: True, LP_UPDATES: True} and set(age.values()) == {400}
    host.salt.pillar({"klp": {"update": {"metadata_age": 0}}})
    assert frozen(host)[0] == {}
    host.salt.pillar({})
    mirror.age(host, 5, UPDATES)  # the rest of the mirror moves: live patches do not
    assert frozen(host)[0] == {LP_UPDATES: True}
    mirror.age(host, 5, LP_UPDATES)
    assert frozen(host)[0] == {}


def test_a_clock_that_is_wrong_makes_nothing_fresh(sles):
    host = sles("converged")
    mirror.age(host, -400, UPDATES, LP_UPDATES)
    assert frozen(host)[0] == {UPDATES: None, LP_UPDATES: None}


# -- updates in the document -------------------------------------------------------------------------------------------


def test_the_document_tells_pending_and_left_out_until_they_are_there(sles):
    host = sles("enabled")
    assert host.zypper("al", *LOCKS).returncode == 0
    found = document(host)["updates"]
    assert found["reason"] is None
    assert {key: number for key, number in found["pending"].items() if number} == {"important": 2, "moderate": 1}
    left = {item["id"].rsplit("-", 1)[1]: item for item in found["left_out"]}
    assert {key: item["kernel"] for key, item in left.items()} == {"2871": True, "3500": False}
    assert left["2871"]["reason"] == "needs kernel-default, and the kernel stays as it is"
    assert left["3500"]["reason"].startswith("asks for a reboot")
    assert abs(left["3500"]["since"] - time.time()) < 300
    host.forget_programs()
    assert document(host)["updates"] == found and host.count("zypper") == 0
    assert apply(host, "klp.patch").failed == {}
    after = document(host)["updates"]
    assert set(after["pending"].values()) == {0} and after["left_out"] == found["left_out"]
    host.salt.pillar({"klp": {"update": {"reboot": True}}})
    again = document(host)["updates"]
    assert again["pending"]["important"] == 1 and [item["id"][-4:] for item in again["left_out"]] == ["2871"]
    records = json.loads(host.read("/var/lib/salt-klp/left-out.json"))
    assert [key[-4:] for key in records] == ["2871"]


def test_what_waits_for_a_restart_is_told(sles):
    host = sles("converged")
    assert document(host)["updates"]["restart"] == {"host": [], "services": []}
    assert host.zypper("in", "glibc").returncode in (0, 102)
    program = "/usr/lib/salt-klp-sleeper"
    host.run(["cp", "/bin/sleep", program])
    sleeper = host.popen([program, "600"])
    host.run(["sh", "-c", f"cp /bin/sleep {program}.new && mv {program}.new {program}"])
    (glibc,) = host.editions("glibc")
    told = document(host)["updates"]["restart"]
    assert told == {"host": [f"glibc-{glibc}"], "services": ["process salt-klp-sleepe"]}
    sleeper.kill()
    sleeper.wait()
    assert document(host)["updates"]["restart"] == {"host": [f"glibc-{glibc}"], "services": []}
    host.reboot()
    assert document(host)["updates"]["restart"]["host"] == []
