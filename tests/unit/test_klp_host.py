"""One ``Host`` for a job: what it reads once, what it reads again, and how it calls zypper."""

import pytest
from salt.exceptions import CommandExecutionError, SaltInvocationError

import klp_family
import klp_host
import klp_paths
import klp_pillar
import klp_sys
import zypp_solver
from tests.unit.conftest import KERNEL, LP
from tests.unit.hosts import FIRST, LATER, LIFECYCLE, ONE, PENDING, has, reads, repository, tool, writes
from tests.unit.loader import recorded


@pytest.fixture
def counted(monkeypatch):
    """Count how often the pillar is checked, and files are read."""
    calls: dict = {"check": 0}
    check, text = klp_pillar.check, klp_sys.text

    def checked(pillar, name, kernel):
        calls["check"] += 1
        return check(pillar, name, kernel)

    def read(path):
        calls[path] = calls.get(path, 0) + 1
        return text(path)

    monkeypatch.setattr(klp_pillar, "check", checked)
    monkeypatch.setattr(klp_sys, "text", read)
    return calls


def test_a_run_reads_pillar_and_os_release_once(minion, counted):
    """Four states of one run, each of which asks for both many times."""
    has(minion, ONE)
    minion.live_patch(FIRST)
    repository(minion)
    tool(minion)
    state = minion.states["klp"]
    for result in (state.ready("a"), state.patched("b"), state.settled("c"), state.held("d")):
        assert result["result"] is True, result
    assert (counted["check"], counted[klp_paths.OS_RELEASE]) == (1, 1)


def test_another_pillar_or_os_release_is_read_again(minion, counted):
    host = minion.host
    assert host.settings["level"] == "latest" and host.family["tool"] == "klp"
    host.pillar = {"level": 3}
    minion.file(klp_paths.OS_RELEASE, recorded("family/sles-12.5.os-release"))
    assert host.settings["level"] == 3 and host.family["tool"] == "kgr"
    host.pillar["level"] = 4  # changed in place
    assert host.settings["level"] == 4
    assert (counted["check"], counted[klp_paths.OS_RELEASE]) == (3, 2)


def test_the_run_of_a_state_has_one_host_and_the_next_run_another(minion):
    def of(run, context):
        return klp_host.of(minion.salt, minion.pillar, minion.grains, context, run)

    context: dict = {}
    run, other = object(), object()
    first = of(run, context)
    assert of(run, context) is first
    second = of(other, context)
    assert second is not first and of(other, context) is second
    assert of(None, None) is not of(None, None)


def test_a_host_of_a_file_that_was_replaced_in_the_middle_of_a_run_is_not_used(minion):
    run = object()
    context = {klp_host.KEY: {"run": run, "host": object()}}
    found = klp_host.of(minion.salt, minion.pillar, minion.grains, context, run)
    assert isinstance(found, klp_host.Host) and context[klp_host.KEY]["host"] is found


def test_what_is_wrong_in_the_pillar_is_told_all_at_once(minion):
    minion.pillar["klp"] = {"levle": 1, "level": 0}
    with pytest.raises(SaltInvocationError, match="pillar klp:levle.*; .*pillar klp:level: wanted"):
        minion.host.settings  # noqa: B018


def test_a_host_knows_its_kernel(minion):
    host = minion.host
    assert (host.release, host.live_patch_package, host.module(ONE)) == (KERNEL, LP, FIRST)
    assert host.kernel == {"release": KERNEL, "version": "5.14.21-150500.55.7", "flavour": "default"}
    assert host.tools == {"packages": ["kernel-livepatch-tools", LIFECYCLE], "pattern": ""}
    assert host.product == "sle-module-live-patching" and host.unsupported_reason() is None


@pytest.mark.parametrize("read", ["kernel", "live_patch_package"])
def test_a_kernel_of_another_form_is_an_error(minion, uname, read):
    uname("6.1.0")
    with pytest.raises(CommandExecutionError, match="kernel release '6.1.0' is not of the form"):
        getattr(minion.host, read)


# -- zypper ------------------------------------------------------------------------------------------------------------


def test_the_first_look_into_repositories_refreshes_and_all_later_ones_do_not(minion, programs):
    """What was predicted and what is installed come of one state of the metadata."""
    host = minion.host
    programs.on(["zypper", ...])
    for args in (["addlock", "a"], ["search", "b"], ["install", "c"], ["removelock", "a"], ["refresh"], ["info", "d"]):
        host.zypper(args, xml=False)
    assert [argv[2:] for argv in programs.calls] == [
        ["addlock", "a"],
        ["search", "b"],
        [LATER, "install", "c"],
        ["removelock", "a"],
        ["refresh"],
        [LATER, "info", "d"],
    ]
    minion.host.zypper(["search", "b"], xml=False)
    assert programs.calls[-1][2:] == ["search", "b"]


def test_a_look_that_failed_has_refreshed_nothing(minion, programs):
    host = minion.host
    reads(minion, ["search", "b"], {"retcode": 106}, "")
    with pytest.raises(CommandExecutionError, match="exit 106"):
        host.zypper(["search", "b"])
    host.zypper(["search", "b"])
    assert [LATER in argv for argv in programs.calls] == [False, False]


@pytest.mark.parametrize(("given", "seconds"), [(None, "30"), (7, "7")])
def test_zypper_waits_as_long_as_pillar_or_caller_say(minion, programs, given, seconds):
    minion.pillar["klp"] = {"zypper": {"lock_timeout": 30, "timeout": 100}}
    writes(minion, ["addlock", "a"])
    minion.host.zypper(["addlock", "a"], writes=True, lock_timeout=given)
    assert programs.options[-1]["env"] == {"LC_ALL": "C", "ZYPP_LOCK_TIMEOUT": seconds}
    assert programs.options[-1]["timeout"] == 100 + int(seconds)
    assert minion.host.settings["zypper"]["lock_timeout"] == 30


def test_no_zypper_writes_below_a_read_only_usr(minion, programs, monkeypatch):
    monkeypatch.setattr(klp_sys, "read_only", lambda path: path == klp_paths.USR)
    with pytest.raises(CommandExecutionError, match="^/usr is read-only: "):
        minion.host.zypper(["addlock", "a"], writes=True)
    assert programs.calls == []
    assert klp_family.refused(minion.host.family, True).startswith("/usr is read-only: ")


# -- what is kept ------------------------------------------------------------------------------------------------------


def test_a_reading_is_kept_until_one_of_its_files_changes(minion):
    host, answers = minion.host, iter(range(9))
    path = minion.write("a", "1")

    def read(key="k"):
        return host.kept(key, [path], lambda: next(answers))

    assert (read(), read(), read("other")) == (0, 0, 1)
    minion.write("a", "22")
    assert (read(), read()) == (2, 2)


def test_a_reading_that_changes_its_files_itself_is_kept(minion):
    """A zypper that refreshes writes the metadata that its answer depends on."""
    host, path = minion.host, minion.write("a", "1")
    answers = iter(range(9))

    def refresh():
        minion.write("a", "new metadata")
        return next(answers)

    assert [host.kept("k", [path], refresh) for _ in range(2)] == [0, 0]


def test_a_reading_that_fails_is_not_kept(minion):
    host, answers = minion.host, iter([CommandExecutionError("no"), 1])

    def read():
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    with pytest.raises(CommandExecutionError):
        host.kept("k", [], read)
    assert host.kept("k", [], read) == 1


def test_all_programs_together_may_take_so_long(minion, programs):
    host = minion.host
    programs.on(["rpm", ...], then=lambda: minion.clock.sleep(8))
    with host.limited(20):
        for _ in range(3):
            host.run(["rpm", "-q"], timeout=15)
        with pytest.raises(
            CommandExecutionError, match="^rpm: not started, the time for looking at this host was over$"
        ):
            host.run(["rpm", "-q"])
    assert [options["timeout"] for options in programs.options] == [15, 12, 4]
    host.run(["rpm", "-q"], timeout=15)
    assert programs.options[-1]["timeout"] == 15


def test_a_moment_that_is_left_is_not_for_ever(minion, programs):
    """Salt takes a timeout of 0 for none."""
    host = minion.host
    with host.limited(0.01), pytest.raises(CommandExecutionError, match="the time for looking at this host was over"):
        host.run(["rpm", "-q"])
    assert programs.calls == []


def test_one_answer_of_zypper_serves_advisories_and_updates(minion, programs):

    host = minion.host
    reads(minion, PENDING, recorded("zypper/list-updates.xml"))
    assert zypp_solver.advisories(host) == [] and LP in zypp_solver.updates(host)
    assert len(programs.calls) == 1
