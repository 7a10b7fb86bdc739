"""How zypper is called: exit codes, patience with locks, scope."""

import pytest
import salt.utils.systemd
from salt.exceptions import CommandExecutionError, SaltInvocationError

import klp_paths
from tests.unit.conftest import Clock
from tests.unit.loader import load, recorded

WRITES = {"retcode": 0, "stdout": "", "stderr": ""}
PATIENCE = {"timeout": 7200, "lock_timeout": 300}
RPM_LOCKED = {"retcode": 8, "stdout": recorded("zypper/rpm-lock-held.txt"), "stderr": ""}


@pytest.fixture
def zypp_cmd(tmp_path, monkeypatch):
    """The utils module with a clock that only sleeping moves, on a host without locks."""
    monkeypatch.setattr(klp_paths, "LOCKS", str(tmp_path / "locks"))
    module = load("_utils", "zypp_cmd")
    module.time = Clock()
    return module


class Run:
    """``klp_cmd.run`` with answers in order; the last one stays."""

    def __init__(self, *answers):
        self.answers, self.calls = list(answers), []

    def __call__(self, argv, ok, timeout, env):
        self.calls.append((argv, ok, timeout, env))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return dict(WRITES, **answer)


def test_zypper_is_asked_for_xml_and_never_asks_back(zypp_cmd):
    run = Run({"stdout": "<stream/>"})
    assert zypp_cmd.call(run, ["list-patches", "--all"], timeout=60, lock_timeout=5)["stdout"] == "<stream/>"
    argv = ["zypper", "--non-interactive", "--xmlout", "list-patches", "--all"]
    assert run.calls == [(argv, None, 65, {"ZYPP_LOCK_TIMEOUT": "5"})]


def test_zypper_that_installs_answers_in_text_with_a_prefix(zypp_cmd):
    run = Run({})
    zypp_cmd.call(run, ["update"], xml=False, prefix=["systemd-run", "--scope"])
    assert run.calls[0][0] == ["systemd-run", "--scope", "zypper", "--non-interactive", "update"]


@pytest.mark.parametrize("code", [0, 102, 104])
def test_expected_exit_codes_are_returned(zypp_cmd, code):
    assert zypp_cmd.call(Run({"retcode": code}), ["x"], ok=(0, 102, 104))["retcode"] == code


@pytest.mark.parametrize("code", [1, 2, 3, 4, 5, 6, 8, 100, 101, 102, 103, 104, 105, 106, 107])
def test_other_exit_codes_are_errors_with_their_meaning(zypp_cmd, code):
    with pytest.raises(CommandExecutionError) as error:
        zypp_cmd.call(Run({"retcode": code, "stderr": "said"}), ["update", "curl"])
    assert str(error.value) == f"zypper update: exit {code} ({zypp_cmd.EXIT_CODES[code]}): said"


def test_an_exit_code_that_nobody_knows_says_so(zypp_cmd):
    assert zypp_cmd.meaning(6) == "no repositories are defined"
    with pytest.raises(
        CommandExecutionError, match=r"exit 77 \(an exit code that zypper\(8\) does not list\): no output"
    ):
        zypp_cmd.call(Run({"retcode": 77}), ["update"])


def test_solver_problems_are_quoted_without_xml(zypp_cmd):
    answer = {"retcode": 4, "stdout": recorded("zypper/patch-locked-problem.xml")}
    with pytest.raises(CommandExecutionError) as error:
        zypp_cmd.call(Run(answer), ["install"])
    assert "requires kernel-default >= 5.14.21-150500.55.12, but" in str(error.value)
    assert "Solution 3: do not install patch:SUSE" in str(error.value) and "<" not in str(error.value)


@pytest.mark.parametrize("field", ["stdout", "stderr"])
def test_the_holder_of_the_zypp_lock_is_named(zypp_cmd, field):
    said = recorded("zypper/lock-held.xml" if field == "stdout" else "zypper/lock-held.txt")
    pid = zypp_cmd.holder(said)[0]
    with pytest.raises(CommandExecutionError) as error:
        zypp_cmd.call(Run({"retcode": 7, field: said}), ["list-patches"], lock_timeout=9)
    assert str(error.value) == (
        f"zypper list-patches: the zypp lock is still held after 9 seconds, by process {pid} (sleep); "
        f"wait until it ends, or look at it with: ps -fp {pid}"
    )


def test_an_unknown_holder_is_unknown(zypp_cmd):
    assert zypp_cmd.holder("locked") is None
    with pytest.raises(CommandExecutionError, match=r"by process unknown \(unknown\)"):
        zypp_cmd.call(Run({"retcode": 7}), ["update"])


def test_a_held_rpm_lock_is_waited_for(zypp_cmd):
    run = Run(RPM_LOCKED, RPM_LOCKED, {})
    assert zypp_cmd.call(run, ["update"], lock_timeout=30)["retcode"] == 0
    assert zypp_cmd.time.slept == [2, 2]
    assert [call[3]["ZYPP_LOCK_TIMEOUT"] for call in run.calls] == ["30", "28", "26"]


def test_a_held_rpm_lock_has_a_deadline(zypp_cmd):
    run = Run(RPM_LOCKED)
    with pytest.raises(CommandExecutionError) as error:
        zypp_cmd.call(run, ["update"], lock_timeout=7)
    assert str(error.value).startswith("zypper update: after 7 seconds somebody else still holds the rpm lock: ")
    assert "can't create transaction lock" in str(error.value)
    assert zypp_cmd.time.slept == [2, 2, 2] and len(run.calls) == 4


def test_text_of_a_solver_problem_is_quoted_as_it_is(zypp_cmd):
    said = recorded("zypper/patch-locked-problem.txt")
    with pytest.raises(CommandExecutionError, match="Problem: dkms-agent-2.0-1.1.x86_64 requires kernel-default"):
        zypp_cmd.call(Run({"retcode": 4, "stdout": said}), ["install"], xml=False)


def test_a_failed_commit_is_not_tried_again(zypp_cmd):
    run = Run({"retcode": 8, "stderr": "needs 16MB more space on the /opt filesystem"})
    with pytest.raises(CommandExecutionError, match="exit 8 .*needs 16MB more space"):
        zypp_cmd.call(run, ["update"])
    assert len(run.calls) == 1


def test_messages_of_xml_and_of_text(zypp_cmd):
    said = zypp_cmd.messages(recorded("zypper/install-not-found.xml"))
    assert said == "No provider of 'no-such-package' found."
    assert zypp_cmd.messages(" plain text \n") == "plain text"
    said = zypp_cmd.messages(recorded("zypper/list-updates-repository-skipped.xml"))
    assert "Skipping repository 'gone'" in said and "of the test lab" not in said


@pytest.mark.parametrize(
    "name",
    ["curl", "pattern:lp_sles", "libstdc++6", "kernel-default=5.14.21-150500.55.7.1", "a=1:2~3", "a=1^git2-1", "7zip"],
)
def test_names_of_packages_are_accepted(zypp_cmd, name):
    assert zypp_cmd.check_names((name,)) == [name]


@pytest.mark.parametrize(
    "name",
    ["", "-y", "--root=/", "kernel-*", "a b", "a;b", "a\n", "a=", "patch:x", "a>1", "ä", None, 1, ["a"], "=1", "a=-1"],
)
def test_what_is_no_name_of_a_package_is_the_mistake_of_the_caller(zypp_cmd, name):
    with pytest.raises(SaltInvocationError, match="not a package name"):
        zypp_cmd.check_names(["curl", name])


@pytest.mark.parametrize("names", ["curl", [], (), None, {"a": 1}])
def test_names_come_in_a_list(zypp_cmd, names):
    with pytest.raises(SaltInvocationError, match="wanted a list of names"):
        zypp_cmd.check_names(names)


@pytest.mark.parametrize(
    ("booted", "there", "prefix"),
    [
        (True, True, ["systemd-run", "--quiet", "--scope"]),
        (True, False, []),
        (False, True, []),
    ],
)
def test_only_what_writes_gets_a_scope_of_systemd(zypp_cmd, monkeypatch, paths, booted, there, prefix):
    monkeypatch.setattr(salt.utils.systemd, "booted", lambda *args: booted)
    paths.update(["systemd-run"] if there else [])
    calls = []

    def run(argv, ok, timeout, env):
        calls.append(argv)
        return WRITES

    zypp_cmd.zypper(run, PATIENCE, ["addlock", "a"], writes=True)
    zypp_cmd.zypper(run, PATIENCE, ["search", "a"])
    assert calls == [
        prefix + ["zypper", "--non-interactive", "addlock", "a"],
        ["zypper", "--non-interactive", "--xmlout", "search", "a"],
    ]


def test_no_zypper_is_started_on_a_lock_file_that_is_a_directory(zypp_cmd, tmp_path, monkeypatch):
    monkeypatch.setattr(klp_paths, "LOCKS", str(tmp_path))
    with pytest.raises(CommandExecutionError, match="is a directory, zypper would never end: remove it$"):
        zypp_cmd.zypper(None, PATIENCE, ["update"])


# -- a zypper that changes packages looks at the host before each try --------------------------------------------------


@pytest.mark.parametrize("busy", [{"retcode": 7}, RPM_LOCKED], ids=["zypp", "rpm"])
def test_a_zypper_that_looks_first_does_not_wait_by_itself(zypp_cmd, busy):
    run, looks = Run(busy, busy, {}), []
    zypp_cmd.call(run, ["install", "a"], timeout=60, lock_timeout=30, before=lambda: looks.append(zypp_cmd.time.now))
    assert [(call[2], call[3]) for call in run.calls] == [(60, {"ZYPP_LOCK_TIMEOUT": "0"})] * 3
    assert zypp_cmd.time.slept == [2, 2] and [later - looks[0] for later in looks] == [0, 2, 4]


def test_what_is_seen_before_a_later_try_stops_it(zypp_cmd):
    run, looks = Run({"retcode": 7}, {}), []

    def before():
        looks.append(1)
        if len(looks) == 2:
            raise CommandExecutionError("a transition is still running")

    with pytest.raises(CommandExecutionError, match="^a transition is still running$"):
        zypp_cmd.call(run, ["install", "a"], before=before)
    assert len(run.calls) == 1


def test_a_zypp_lock_that_stays_is_waited_for_until_the_deadline(zypp_cmd):
    run = Run({"retcode": 7, "stderr": recorded("zypper/lock-held.txt")})
    with pytest.raises(CommandExecutionError, match="^zypper install: the zypp lock is still held after 5 seconds, by"):
        zypp_cmd.call(run, ["--no-refresh", "install", "a"], lock_timeout=5, before=lambda: None)
    assert len(run.calls) == 3 and zypp_cmd.time.slept == [2, 2]


def test_a_zypper_that_only_reads_is_not_tried_again_for_the_zypp_lock(zypp_cmd):
    run = Run({"retcode": 7})
    with pytest.raises(CommandExecutionError, match="the zypp lock is still held"):
        zypp_cmd.call(run, ["search", "a"])
    assert len(run.calls) == 1 and run.calls[0][3] == {"ZYPP_LOCK_TIMEOUT": "300"}


# -- whose fault it is -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "sample", "why"),
    [
        (4, "install-kernel-locked.xml", "Problem: conflicting requests"),
        (
            4,
            "patch-locked-problem.xml",
            (
                "Problem: dkms-agent-2.0-1.1.x86_64 requires kernel-default >= 5.14.21-150500.55.12, but this "
                "requirement cannot be provided"
            ),
        ),
        (104, "install-not-found.xml", "No provider of 'no-such-package' found."),
        (
            4,
            "install-licence.xml",
            "a licence has to be agreed to: install it once by hand, or allow it with pillar klp:update:licenses",
        ),
    ],
)
def test_a_problem_of_a_package_is_told_apart_and_said_in_one_clause(zypp_cmd, code, sample, why):
    answer = {"retcode": code, "stdout": recorded(f"zypper/{sample}")}
    with pytest.raises(zypp_cmd.NotInstallable) as error:
        zypp_cmd.call(Run(answer), ["--no-refresh", "install", "--dry-run", "a"])
    assert error.value.why == why and str(error.value).startswith(f"zypper install: exit {code}")
    assert "<" not in str(error.value)


@pytest.mark.parametrize(
    ("code", "text", "said"),
    [
        (4, recorded("zypper/install-rpm-broken.xml"), "Target initialization failed:\nRpm Exception"),
        (8, recorded("zypper/install-plan-problem.xml"), "Problem: dkms-agent"),
        (106, recorded("zypper/list-updates-repository-skipped.xml"), "Skipping repository 'gone'"),
        (-9, "", "no output"),
    ],
)
def test_a_problem_of_the_host_is_no_problem_of_a_package(zypp_cmd, code, text, said):
    with pytest.raises(CommandExecutionError) as error:
        zypp_cmd.call(Run({"retcode": code, "stdout": text}), ["install", "a"])
    assert not isinstance(error.value, zypp_cmd.NotInstallable) and said in str(error.value)


def test_a_zypper_that_was_killed_has_no_exit_code(zypp_cmd):
    with pytest.raises(CommandExecutionError, match="^zypper install: was killed by signal 9: no output$"):
        zypp_cmd.call(Run({"retcode": -9}), ["install"])
