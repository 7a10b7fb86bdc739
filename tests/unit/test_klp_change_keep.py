"""Kernels that nobody needs any more: which ones, and that nothing else is removed."""

import pytest

import klp_change_keep
from tests.unit.changing import EDITION, LEVEL, NEW_LP, OLD
from tests.unit.hosts import KERNEL_PACKAGE, dry, reads, record, remembers, writes, wrote
from tests.unit.kernels import NEW

AGE = ["5.14.21-150500.55.12.1", "5.14.21-150500.55.7.1", "5.14.21-150500.55.3.1", "5.14.21-150500.53.2.1"]
RUNNING = "5.14.21-150500.55.12"
THIRD, FOURTH = AGE[2:]
THIRD_LP = "kernel-livepatch-5_14_21-150500_55_3-default"
FOUR = {**OLD, "kernel-default": ",".join(AGE), NEW_LP: LEVEL, THIRD_LP: "2-1"}
GONE = ["kernel-default=" + THIRD, f"{THIRD_LP}=2-1"]


@pytest.mark.parametrize(
    "rule, kept",
    [
        (None, AGE),
        ("", AGE),
        ("latest", AGE[:1]),
        ("latest,latest-1,running", AGE[:2]),
        ("oldest,oldest+1", AGE[2:]),
        ("running", AGE[:1]),
        ("5.14.21-150500.55.3, nonsense", AGE[2:3]),
        ("latest-9", []),
    ],
)
def test_the_rule_of_the_vendor(rule, kept):
    assert klp_change_keep.kept_by_rule(AGE, RUNNING, rule) == set(kept)


@pytest.fixture
def tidy(waiting, uname):
    """A host that runs the new kernel, with two old ones besides the fallback; one of them was installed here."""
    waiting.minion.write("etc/zypp/zypp.conf", "[main]\nmultiversion.kernels = latest,latest-1,running\n")
    waiting.rpm(FOUR, {**FOUR, "kernel-default": f"{EDITION},{KERNEL_PACKAGE},{FOURTH}", THIRD_LP: ""})
    remembers(waiting.minion, "own_kernels", [EDITION, THIRD])
    waiting.reboots(uname, NEW)
    waiting.healthy()
    reads(waiting.minion, ["remove", "--dry-run", *GONE], dry("remove", *GONE))
    writes(waiting.minion, ["remove", *GONE], "done", changes=True)
    return waiting


def test_they_are_named_and_stay(tidy):
    found = tidy.run("verify")
    said = f"Kernels that only the locks of salt-klp keep: {THIRD}, {FOURTH}; pillar klp:kernel:keep: 2 removes those "
    assert found["comment"].splitlines()[1] == said + "that salt-klp has installed"
    assert (found["result"], wrote(tidy.minion, "remove")) == (True, [])


def test_those_of_ours_are_removed_as_the_pillar_says(tidy):
    tidy.pillar(kernel={"keep": 2})
    predicted = tidy.run("verify", test=True)
    assert predicted["changes"] == {"removed": {"old": THIRD, "new": None}}
    found = tidy.run("verify")
    assert (found["result"], wrote(tidy.minion, "remove")) == (True, [["remove", *GONE]])
    assert set(found["changes"]) == {"stage", "default", "kernel-default", THIRD_LP}
    assert found["comment"].splitlines()[1] == f"Kernels that only the locks of salt-klp keep: {FOURTH}"
    assert record("own_kernels") == [EDITION]


def test_so_many_stay(tidy):
    tidy.pillar(kernel={"keep": 4})
    assert tidy.run("verify")["result"] is True and wrote(tidy.minion, "remove") == []


MORE = [("remove", "curl=1-1"), ("install", "curl=1-1"), ("remove", f"kernel-default={FOURTH}")]


@pytest.mark.parametrize("more", MORE)
def test_nothing_else_goes(tidy, more):
    tidy.pillar(kernel={"keep": 2})
    both = dry("remove", *GONE).replace("</install-summary>", dry(*more).split("<install-summary>")[1])
    reads(tidy.minion, ["remove", "--dry-run", *GONE], both.replace("</stream></stream>", "</stream>"))
    found = tidy.run("verify")
    assert (found["result"], wrote(tidy.minion, "remove")) == (True, [])
    name = more[1].replace("=", "-")
    said = f"Kernels {THIRD} could not be removed: zypper remove: refused, because it would also {more[0]} {name}"
    assert found["comment"].splitlines()[1] == said


def test_a_boot_loader_that_changed_its_mind_is_told(tidy):
    tidy.pillar(kernel={"keep": 2})
    writes(tidy.minion, ["remove", *GONE], "done", changes=True, then=lambda: tidy.grub.change(["saved_entry=1>1"]))
    assert "GRUB would start another kernel after old ones were removed" in tidy.run("verify")["comment"]
