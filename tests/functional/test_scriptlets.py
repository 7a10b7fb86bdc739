"""A failed scriptlet of a real package is told by every run until it is cured, whoever cures it, or acknowledged."""

import json

import pytest

from tests.functional.conftest import KERNEL_EDITION, LOCKS, THIRD, apply, settings, volumes
from tests.lab import mirror as mirrors
from tests.lab.packages import Package, Spec

NFS = "2.1.1-150500.22.3.1"
PAIR = f"nfs-client={NFS}"
CURE = (
    f"scriptlets: failed: a scriptlet failed: nfs-client-{NFS}; /var/log/zypp/history says how; let it run again with: "
    f"zypper install --force {PAIR}, or, if nothing is to be done, acknowledge it with pillar klp:update:acknowledged: "
    f"[{PAIR}]"
)
RECORD = "/var/lib/salt-klp/scriptlets.json"
STRICT = {"scriptlets": "fail", "exclude": ["dkms-agent"]}
FRAGILE = "[ ! -e /etc/break ] || exit 7"  # as a script that needs what is not there today


@pytest.fixture
def strict(sles):
    """Start an enabled and locked host on which a failed scriptlet is what it is by default."""
    one = sles("enabled", update=STRICT)
    assert one.zypper("al", *LOCKS).returncode == 0
    return one


def check(host):
    """Return verdict and detail of the check, as ``klp.verify`` has it."""
    answer = host.salt_call("klp.verify")
    (found,) = [item for item in answer.data["checks"] if item["check"] == "scriptlets"]
    assert (answer.rc == 0) is (answer.data["verdict"] in ("ok", "reboot_needed"))
    return found["verdict"], found["detail"]


def test_a_run_names_it_and_fails_and_so_does_the_next_one(strict):
    answer = apply(strict, "klp.patch")
    assert answer.rc != 0 and "klp-verified" in answer.failed and answer.results["klp-updates"] is True
    assert f"installed, but a scriptlet failed: nfs-client-{NFS}.x86_64" in answer.comments["klp-updates"]
    assert CURE in answer.comments["klp-verified"].splitlines()
    assert strict.editions("nfs-client") == [NFS]
    assert strict.path(RECORD).stat().st_mode & 0o777 == 0o600 and list(json.loads(strict.read(RECORD))) == [
        "nfs-client"
    ]
    again = apply(strict, "klp.patch")
    assert again.rc != 0 and again.changes == {} and CURE in again.comments["klp-verified"].splitlines()
    assert len(volumes(strict)) == 1
    document = strict.salt_call("klp_audit.host").data
    assert document["verdict"] == "failed"
    assert [item["check"] for item in document["checks"]] == ["scriptlets"]
    predicted = apply(strict, "klp.patch", test=True)
    assert CURE in predicted.comments["klp-verified"].splitlines()


def test_the_cure_of_the_message_cures_only_if_the_script_ends_well(strict):
    """The scriptlet of nfs-client always fails: to install it again is no cure, whatever rpm says of it."""
    apply(strict, "klp.patch")
    command = check(strict)[1].split("again with: zypper ")[1].split(",")[0].split()
    assert strict.zypper(*command).returncode == 107
    assert check(strict)[0] == "failed"
    assert strict.zypper("in", "--oldpackage", "nfs-client=2.1.1-150500.20.1").returncode == 0
    assert check(strict) == ("ok", "none failed")


def test_somebody_has_looked_at_it(strict):
    apply(strict, "klp.patch")
    strict.salt.pillar(settings(update={**STRICT, "acknowledged": [PAIR, "other=1-1"]}))
    answer = apply(strict, "klp.patch")
    assert (answer.rc, answer.failed, answer.changes["klp-finished"]["open run"]["new"]) == (0, {}, None)
    assert answer.comments["klp-verified"].splitlines() == [
        f"ok: {strict.kernel} with live patch {THIRD}",
        f"scriptlets: failed, and acknowledged by pillar: nfs-client-{NFS}",
    ]
    assert check(strict)[0] == "ok"


@pytest.mark.parametrize("by_hand", [False, True])
@pytest.mark.parametrize("word", ["post", "posttrans"])
def test_a_script_that_ends_well_the_second_time_is_cured_by_whomever(strict, tmp_path, word, by_hand):
    specs = [Spec("one", "", 1700000000, [Package("fragile", "1.0", "1.1", scripts={word: FRAGILE})])]
    mirrors.offer(strict, mirrors.build(tmp_path, specs))
    strict.write("/etc/break", "")
    answer = strict.salt_call("zypper.install", ["fragile"])
    assert answer.data["notes"] == ["installed, but a scriptlet failed: fragile-1.0-1.1.x86_64"]
    assert check(strict)[0] == "failed"
    strict.path("/etc/break").unlink()
    if by_hand:
        assert strict.zypper("install", "--force", "fragile=1.0-1.1").returncode == 0
    else:
        assert strict.salt_call("zypper.install", ["fragile"], force=True).data["notes"] == []
    assert check(strict) == ("ok", "none failed")


def test_a_package_that_was_removed_has_nothing_to_cure(strict):
    apply(strict, "klp.patch")
    assert strict.zypper("rm", "nfs-client").returncode == 0
    assert check(strict) == ("ok", "none failed")
    assert strict.editions("kernel-default") == [KERNEL_EDITION]


def test_a_pillar_that_is_no_package_is_refused_by_its_key(strict):
    strict.salt.pillar(settings(update={"acknowledged": ["nfs-client"], "scriptlets": "ignore"}))
    problems = strict.salt_call("klp.settings").data["problems"]
    assert len(problems) == 2
    assert any("klp:update:acknowledged" in item for item in problems)
    assert any("klp:update:scriptlets" in item for item in problems)
