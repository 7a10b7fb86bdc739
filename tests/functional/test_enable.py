"""``state.apply klp`` on hosts that are not live patched yet: predicted, done in the right order, and done once."""

from tests.functional.conftest import (
    FIRST,
    KERNEL_EDITION,
    LOADED,
    LOCKS,
    LP,
    SECOND,
    THIRD,
    TOOLS,
    apply,
    is_write,
    snapshot,
    volumes,
)
from tests.lab.packages import LIFECYCLE_DATA

THIRD_MODULE = "livepatch_3_150500_2_1"
LOCKS_SET = {"locked": {"old": [], "new": LOCKS}}
ENABLED = {LP: {"old": None, "new": THIRD}, "missing tools": {"old": [TOOLS, LIFECYCLE_DATA], "new": []}}
STATES = ["klp-ready", "klp-backup-enable", "klp-locks", "klp-enabled", "klp-level", "klp-settled", "klp-finished"]


def lock_file(*names):
    """Return the lock file as zypper writes it for these packages."""
    record = "\ntype: package\nmatch_type: glob\ncase_sensitive: on\nsolvable_name: {}\n\n"
    return "".join(record.format(name) for name in names)


def order(host):
    """Return the steps of a run in their order: backup, verify, lock, install."""
    found = []
    for program in host.programs():
        name = program.path.rsplit("/", 1)[-1]
        if name in ("volume-backup", "volume-check"):
            found.append(name)
        elif name == "zypper" and "addlock" in program.argv:
            found.append("addlock")
        elif name == "zypper" and is_write(program):
            found.append("install")
    return list(dict.fromkeys(found))


def test_prediction_on_a_fresh_host_changes_nothing(sles):
    fresh = sles("fresh")
    before = snapshot(fresh)
    answer = apply(fresh, "klp", test=True)
    assert answer.rc == 0
    assert list(answer.states) == STATES
    assert answer.changes == {
        "klp-backup-enable": {"backup": {"old": None, "new": "a verified backup of this run"}},
        "klp-locks": LOCKS_SET,
        "klp-enabled": ENABLED,
        "klp-level": {"live patch": {"old": None, "new": THIRD}, "module": {"old": None, "new": THIRD_MODULE}},
    }
    assert {ident for ident, result in answer.results.items() if result is None} == set(answer.changes)
    assert snapshot(fresh) == before
    assert not fresh.exists("/var/lib/salt-klp")
    assert order(fresh) == []


def test_fresh_host_is_locked_backed_up_and_live_patched(sles):
    fresh = sles("fresh")
    before = fresh.packages()
    answer = apply(fresh, "klp")
    assert (answer.rc, answer.failed) == (0, {})
    assert answer.changes["klp-locks"] == LOCKS_SET
    assert answer.changes["klp-enabled"] == ENABLED
    assert answer.changes["klp-backup-enable"] == {"backup": {"old": None, "new": "vol-1"}}
    assert fresh.locks() == lock_file(*LOCKS)
    assert fresh.editions("kernel-default") == [KERNEL_EDITION]
    assert fresh.live_patches() == {THIRD_MODULE: LOADED}
    after = fresh.packages()
    assert {name: after[name] for name in after if name not in before} == {
        LP: [THIRD],
        TOOLS: ["1.4-150500.1.1"],
        LIFECYCLE_DATA: ["1-150500.10.2.1"],
    }
    assert {name: editions for name, editions in after.items() if name in before} == before
    assert order(fresh) == ["volume-backup", "volume-check", "addlock", "install"]

    done = snapshot(fresh)
    assert len(done["volumes"]) == 1
    again = apply(fresh, "klp")
    assert (again.rc, again.changes, set(again.results.values())) == (0, {}, {True})
    assert (fresh.count("zypper"), fresh.count("volume-backup")) == (0, 0)
    assert fresh.count("rpm") <= 1
    assert snapshot(fresh) == done


def test_highstate_keeps_an_older_live_patch_and_makes_no_backup_for_locks_alone(sles):
    one = sles("enabled")
    answer = apply(one, "klp")
    assert answer.failed == {}
    assert answer.changes == {"klp-locks": LOCKS_SET}
    assert one.editions(LP) == [FIRST]
    assert volumes(one) == []


def test_host_with_a_live_patch_but_without_its_tools_gets_only_the_tools(sles):
    one = sles("enabled", tools={"packages": [TOOLS, "patterns-lp-lp_sles"]})
    before = one.packages()
    answer = apply(one, "klp", test=True)
    assert answer.changes["klp-enabled"] == {"missing tools": {"old": ["patterns-lp-lp_sles"], "new": []}}
    assert "klp-level" not in answer.changes
    answer = apply(one, "klp")
    assert answer.failed == {}
    assert answer.changes["klp-enabled"] == {"missing tools": {"old": ["patterns-lp-lp_sles"], "new": []}}
    assert one.editions("patterns-lp-lp_sles") == ["15.1.0-3.3.1"]
    assert one.editions("kernel-default") == before["kernel-default"]
    assert one.editions(LP) in ([FIRST], [THIRD])
    assert apply(one, "klp").changes == {}


def test_pattern_never_brings_a_new_kernel(sles):
    """Its recommended kernel-default-livepatch pulls in the newest kernel unless the kernel is locked first."""
    one = sles("fresh", tools={"packages": ["patterns-lp-lp_sles"]}, level=2)
    answer = apply(one, "klp")
    assert answer.failed == {}
    assert one.editions("kernel-default") == [KERNEL_EDITION]
    assert one.editions(LP) == [SECOND]
    assert one.editions(TOOLS) == ["1.4-150500.1.1"]
    assert one.live_patches() == {"livepatch_2_150500_2_1": LOADED}


def test_product_is_activated_where_it_is_missing(sles):
    product = "sle-module-live-patching/15.5/x86_64"
    one = sles("fresh", product={"regcode": "LAB-REGCODE-0001"})
    one.install_fake("SUSEConnect")
    before = snapshot(one)
    answer = apply(one, "klp", test=True)
    assert answer.failed == {}
    known_later = {"old": None, "new": {"level": "latest", "product": product}}
    assert answer.changes["klp-enabled"][LP] == answer.changes["klp-level"]["live patch"] == known_later
    assert f"Product {product} is activated first" in answer.comments["klp-enabled"]
    assert answer.changes["klp-backup-enable"]["backup"]["old"] is None
    assert snapshot(one) == before
    answer = apply(one, "klp")
    assert answer.failed == {}
    assert answer.comments["klp-enabled"].splitlines()[1:] == [f"product {product} activated"]
    assert answer.changes["klp-enabled"] == ENABLED
    assert one.live_patches() == {THIRD_MODULE: LOADED}
    assert order(one)[0] == "volume-backup"
    again = apply(one, "klp")
    assert (again.failed, again.changes, one.count("SUSEConnect")) == ({}, {}, 0)


def test_product_is_activated_for_a_live_patch_whose_tools_are_there_already(sles):
    one = sles("fresh")
    one.zypper("al", *LOCKS)
    one.zypper("in", TOOLS)
    one.install_fake("SUSEConnect")
    assert one.editions(LP) == []
    answer = apply(one, "klp")
    assert answer.failed == {}
    assert volumes(one)[0][0] == "vol-1"
    assert one.live_patches() == {THIRD_MODULE: LOADED}


def test_enable_alone_refuses_a_kernel_that_is_not_locked(sles):
    one = sles("fresh")
    before = snapshot(one)
    answer = one.salt_call("klp.enable")
    assert answer.rc != 0
    wanted = f"lock the kernel packages first (zypper.add_locks), not locked: {', '.join(LOCKS)}"
    assert wanted in answer.stdout + answer.stderr
    assert snapshot(one) == before


def test_backup_backend_none_is_a_choice_and_makes_none(sles):
    one = sles(pillar={"klp": {"backup": {"backend": "none"}}})
    answer = apply(one, "klp")
    assert answer.failed == {}
    assert "klp-backup-enable" not in answer.changes
    assert one.live_patches() == {THIRD_MODULE: LOADED}
    assert apply(one, "klp").changes == {}
