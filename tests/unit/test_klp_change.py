"""The record of a change of kernel."""

import json

import pytest
from salt.exceptions import CommandExecutionError

import klp_change
import klp_live
import klp_paths
from _runners.klp import answers
from tests.unit.conftest import LP
from tests.unit.hosts import LIFECYCLE
from tests.unit.kernels import CHANGE

READ = dict(CHANGE, stage="installed", why=[], at=1_700_000_000, boot_id="b1")


def test_a_host_without_a_change_of_kernel_has_none(minion):
    assert klp_change.read() is None
    assert klp_change.record() == {}
    assert klp_change.summary() is None


def test_a_stage_is_read_as_it_was_written(minion):
    whole = klp_change.remember(CHANGE, "installed")
    assert klp_change.read(minion.host) == READ
    assert klp_change.record() == whole == dict(READ, packages={}, default="", services=[])
    assert klp_change.summary() == {key: value for key, value in READ.items() if key != "run"}
    assert answers.CHANGE.take(klp_change.summary()) == klp_change.summary()


def test_the_master_knows_every_stage():
    assert answers.STAGES == klp_change.STAGES


def test_a_stage_keeps_what_was_known_and_tells_of_its_own_start(minion):
    first = klp_change.remember(
        dict(CHANGE, packages={"kernel-default": "1-1"}, services=["sshd.service"]), "restarting"
    )
    assert not klp_change.restarted(first)
    minion.file(klp_paths.BOOT_ID, "b2\n")
    assert klp_change.restarted(first)
    second = klp_change.remember(first, "failed", ["it came up with the old kernel"])
    assert second == dict(first, stage="failed", why=["it came up with the old kernel"], boot_id="b2")


@pytest.mark.parametrize(
    "wrong",
    [
        {"stage": "gone"},
        {"fallback": None},
        {"why": "x"},
        {"why": [1]},
        {"at": True},
        {"at": -1},
        {"to": None},
        {"packages": {"kernel-default": 1}},
        {"packages": []},
        {"default": None},
        {"services": {}},
        {"more": 1},
    ],
    ids=str,
)
def test_a_damaged_record_is_named(minion, wrong):
    minion.file(f"{klp_paths.RECORDS}/kernel.json", json.dumps(dict(READ, **wrong)))
    with pytest.raises(CommandExecutionError, match="kernel.json: not what salt-klp wrote; repair it or move it away"):
        klp_change.read()


@pytest.mark.parametrize("stage", klp_change.STAGES)
def test_a_kernel_that_was_given_up_waits_for_no_restart(minion, stage):
    assert klp_change.given_up() is None
    klp_change.remember(CHANGE, stage)
    given_up = CHANGE["edition"] if stage in ("failed", "back", "went_back") else None
    assert klp_change.given_up() == given_up
    editions = [str(CHANGE["edition"]), "5.14.21-150500.55.7.1"]
    minion.rpm_q(["kernel-default", LP, "kernel-livepatch-tools", LIFECYCLE], {"kernel-default": ",".join(editions)})
    assert klp_live.newer_kernels(minion.host, editions[1]) == [item for item in editions[:1] if item != given_up]
    minion.file(f"{klp_paths.RECORDS}/kernel.json", "[]")
    assert klp_change.given_up() is None


def test_a_record_that_lacks_a_field_is_named(minion):
    minion.file(f"{klp_paths.RECORDS}/kernel.json", json.dumps({"stage": "installed"}))
    with pytest.raises(CommandExecutionError, match="not what salt-klp wrote"):
        klp_change.read()
