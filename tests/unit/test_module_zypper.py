"""The module zypper: what it starts, what it reads out of it, what it refuses."""

import pytest
from salt.exceptions import CommandExecutionError, SaltInvocationError

from tests.unit.conftest import LP
from tests.unit.loader import recorded

READ = ["zypper", "--non-interactive", "--xmlout"]
WRITE = ["zypper", "--non-interactive"]
BASE = "SUSE-SLE-Module-Basesystem-15-SP5-2023-"
LIVE = "SUSE-SLE-Module-Live-Patching-15-SP5-2023-"
IDS = sorted([BASE + n for n in "2871 2990 3210 3242 3300 3310 3410 3500".split()] + [LIVE + "3001", LIVE + "3179"])
SUMMARY = "<stream><install-summary>{}</install-summary></stream>"


def test_packages_are_asked_by_one_query_and_kept(minion, programs):
    minion.rpm_q(["kernel-default", "nosuch"], {"kernel-default": "1-1,2-1"})
    for _ in range(3):
        assert minion.salt["zypper.installed"](["kernel-default", "nosuch"]) == {"kernel-default": ["1-1", "2-1"]}
    assert len(programs.calls) == 1
    minion.changed()
    minion.salt["zypper.installed"](["kernel-default", "nosuch"])
    assert len(programs.calls) == 2


def test_editions_do_not_depend_on_locks_but_a_dry_run_does(minion, programs):
    programs.on(READ + ["search", ...], recorded("zypper/search-live-patch.xml"))
    programs.on(READ + ["update", "--dry-run", "curl"], recorded("zypper/update-nothing.xml"))
    for text in ("", "changed"):
        minion.write("locks", text)
        minion.salt["zypper.editions"](LP)
        minion.salt["zypper.preview"](["curl"], "update")
    assert [argv[3] for argv in programs.calls] == ["search", "update", "update"]


@pytest.mark.parametrize("capability", ["", "-qa", "--eval=1", "a\n", None, ["a"], "a" * 300])
def test_a_capability_that_is_an_option_reaches_no_program(minion, programs, capability):
    with pytest.raises(SaltInvocationError, match="not a capability"):
        minion.salt["zypper.provided"](capability)
    assert programs.calls == []


def test_settings_that_are_given_are_checked(minion, programs):
    for name in ("zypper.pending", "zypper.update"):
        with pytest.raises(SaltInvocationError, match="klp:update:rebot: unknown key; did you mean reboot"):
            minion.salt[name]({"rebot": True})
    assert programs.calls == []


def test_a_name_that_is_an_option_reaches_no_program(minion, programs):
    kinds = dict.fromkeys(["zypper.installed", "zypper.preview", "zypper.install", "zypper.locked"], "a package name")
    kinds.update(dict.fromkeys(["zypper.add_locks", "zypper.missing_locks"], "NAME, NAME>EDITION or patch:ID"))
    for call, what in dict(kinds, **{"zypper.contents": "the id of an advisory"}).items():
        with pytest.raises(SaltInvocationError, match=f"'--root=/': not {what}"):
            minion.salt[call](["--root=/"])
    assert programs.calls == []


@pytest.mark.parametrize(
    ("capability", "retcode", "text", "answer"),
    [
        ("pattern() = lp_sles", 1, recorded("rpm/provides-pattern.txt"), False),
        ("pattern() = lp_sles", 0, "a\tpattern() = base\na\tother = 1\n", False),
        ("pattern() = lp_sles", 0, "a\tpattern() = base\nb\tpattern() = lp_sles\n", True),
        ("pattern()", 0, "a\tpattern() = base\n", True),
    ],
)
def test_a_capability_is_provided_or_not(minion, programs, capability, retcode, text, answer):
    argv = ["rpm", "-q", "--whatprovides", "--qf", "[%{=NAME}\\t%{PROVIDENAME} = %{PROVIDEVERSION}\\n]", "pattern()"]
    programs.on(argv, {"retcode": retcode, "stdout": text})
    assert minion.salt["zypper.provided"](capability) is answer


def test_all_packages_are_one_dict(minion, programs):
    programs.on(
        ["rpm", "-qa", "--qf", "%{NAME}\\t%{VERSION}-%{RELEASE}\\n"], recorded("rpm/all.txt") + "a\t2-1\na\t1-1\n"
    )
    found = minion.salt["zypper.packages"]()
    assert found["a"] == "1-1,2-1" and found["libz1"] == "1.2.13-150500.2.3" and len(found) == 16


def test_a_broken_rpm_database_is_an_error(minion, programs):
    programs.on(["rpm", ...], {"retcode": 1, "stderr": "error: sqlite failure: database disk image is malformed"})
    with pytest.raises(CommandExecutionError, match="^rpm -q: error: sqlite failure"):
        minion.salt["zypper.packages"]()


def test_an_unknown_line_of_rpm_is_an_error(minion, programs):
    programs.on(["rpm", ...], "what is this\n")
    with pytest.raises(CommandExecutionError, match="rpm -q: unknown line 'what is this'"):
        minion.salt["zypper.packages"]()


def test_enabled_repositories_are_read_from_their_files(minion, programs):
    minion.write("repos.d/b.repo", "[b]\nenabled=1\n[c]\nenabled=0\n")
    minion.write("repos.d/a.repo", "[a]\n")
    minion.write("repos.d/a.repo.rpmsave", "[x]\n")
    assert minion.salt["zypper.repositories"]() == ["a", "b"]
    assert programs.calls == []


def test_without_a_folder_there_are_no_repositories(minion):
    minion.modules["zypper_repositories"].REPOSITORIES = str(minion.root / "none")
    assert minion.salt["zypper.repositories"]() == []


def test_a_refresh_reads_all_repositories(minion, programs):
    minion.write("repos.d/a.repo", "[a]\n")
    programs.on(WRITE + ["refresh"], recorded("zypper/refresh.txt"))
    assert minion.salt["zypper.refresh"]() == ["a"]


def test_a_refresh_without_repositories_says_what_to_do(minion, programs):
    with pytest.raises(CommandExecutionError, match="^no enabled repositories in .*zypper mr -e ALIAS$"):
        minion.salt["zypper.refresh"]()
    assert programs.calls == []


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (
            {"retcode": 4, "stdout": recorded("zypper/refresh-broken.txt")},
            r"repository gone cannot be read \(zypper exit 106\)",
        ),
        ({"stderr": "Skipping repository 'gone' because of the above error."}, "repository gone cannot be read"),
        ({"retcode": 4, "stderr": "no key"}, r"repository unknown cannot be read \(zypper exit 4\): no key"),
        (
            {"retcode": 6, "stdout": recorded("zypper/refresh-no-repositories.txt")},
            r"zypper refresh: exit 6 \(no repositories are defined\): Warning: There are no enabled repositories",
        ),
    ],
)
def test_a_repository_that_cannot_be_read_is_named(minion, programs, answer, message):
    minion.write("repos.d/a.repo", "[a]\n")
    programs.on(WRITE + ["refresh"], answer)
    with pytest.raises(CommandExecutionError, match=message):
        minion.salt["zypper.refresh"]()


def test_needed_and_optional_advisories_are_listed(minion, programs):
    text = recorded("zypper/list-patches-all.xml").replace(
        '2023-3310" edition="1" arch="noarch" status="optional"',
        '2023-3310" edition="1" arch="noarch" status="applied"',
    )
    programs.on(READ + ["list-patches", "--all"], text)
    found = [item["id"] for item in minion.salt["zypper.advisories"]()]
    assert sorted(found) == [name for name in IDS if name != BASE + "3310"]


def test_editions_of_a_package(minion, programs):
    search = READ + ["search", "--details", "--match-exact", "--type", "package"]
    programs.on(search + [LP], recorded("zypper/search-live-patch.xml"))
    programs.on(search + ["no-such-package"], {"retcode": 104, "stdout": recorded("zypper/search-nothing.xml")})
    assert [item["edition"][0] for item in minion.salt["zypper.editions"](LP)] == ["3", "2", "1"]
    assert minion.salt["zypper.editions"]("no-such-package") == []


def test_a_preview_is_a_dry_run(minion, programs):
    programs.on(READ + ["install", "--dry-run", LP], recorded("zypper/install-live-patch.xml"))
    programs.on(READ + ["update", "--dry-run", "curl"], recorded("zypper/update-nothing.xml"))
    assert minion.salt["zypper.preview"]([LP])["upgrade"][0]["edition"] == "3-150500.2.1"
    assert minion.salt["zypper.preview"](["curl"], "update")["nothing"] is True


def test_a_preview_of_another_command_is_refused(minion):
    with pytest.raises(SaltInvocationError, match="command: wanted install, update or downgrade, found 'remove'"):
        minion.salt["zypper.preview"](["curl"], "remove")


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (
            {"retcode": 4, "stdout": recorded("zypper/install-kernel-locked.xml")},
            r"exit 4 \(the solver found .*conflicting",
        ),
        ({"retcode": 104, "stdout": recorded("zypper/install-not-found.xml")}, "exit 104 .*No provider of 'curl'"),
        (
            {"retcode": 106, "stdout": recorded("zypper/list-updates-repository-skipped.xml")},
            "Skipping repository 'gone'",
        ),
        ({"stdout": "<stream/>"}, "no install summary"),
        ({"stdout": "text"}, "not XML"),
    ],
)
def test_a_preview_that_is_none_is_an_error(minion, programs, answer, message):
    answer = dict(answer, stdout=answer["stdout"].replace("no-such-package", "curl"))
    programs.on(READ + ["install", "--dry-run", "curl"], answer)
    with pytest.raises(CommandExecutionError, match=r"(?s)" + message):
        minion.salt["zypper.preview"](["curl"])


def everything_pending(minion, text=None):
    """A host with every update of the lab, and the dry run of those that are taken."""
    minion.write("needreboot", "glibc\nkernel-firmware-all\n")
    minion.programs.on(READ + ["list-patches", "--all"], recorded("zypper/list-patches-all.xml"))
    minion.programs.on(WRITE + ["info", "--type", "patch"] + IDS, recorded("zypper/info-patches.txt"))
    updates = recorded("zypper/list-updates.xml").replace('name="kernel-default"', 'name="kernel-macros"')
    minion.programs.on(READ + ["list-updates"], updates.replace('name="dkms-agent"', 'name="libz1"'))
    minion.programs.on(READ + ["update", "--dry-run", ...], text or recorded("zypper/update-with-locks.xml"))


TAKEN = ["curl", "libopenssl1_1", "libz1", "libzypp", "nfs-client"]


def test_a_plan_is_checked_by_a_dry_run_of_exactly_its_packages(minion, programs):
    everything_pending(minion)
    found = minion.salt["zypper.pending"]()
    assert sorted(found["packages"]) == TAKEN and found["stack"] == [BASE + "2990"]
    assert programs.started(*READ, "update") == [READ + ["update", "--dry-run", *TAKEN]]


def test_a_plan_is_asked_only_once_in_a_job(minion, programs):
    everything_pending(minion)
    assert minion.salt["zypper.pending"]() == minion.salt["zypper.pending"]()
    assert len(programs.calls) == 4


def test_a_plan_that_would_bring_a_kernel_is_refused(minion):
    everything_pending(minion, recorded("zypper/install-kernel.xml"))
    with pytest.raises(CommandExecutionError) as error:
        minion.salt["zypper.pending"]()
    assert str(error.value).startswith(
        "zypper update: refused before anything was installed, because it would "
        "install kernel-default-5.14.21-150500.55.12.1; lock the kernel packages"
    )


def test_a_plan_obeys_the_settings_that_are_given(minion):
    everything_pending(minion)
    update = dict(minion.utils["klp_pillar.defaults"]()["update"], exclude=["*"])
    assert minion.salt["zypper.pending"](update)["advisories"] == []


def test_nothing_pending_needs_no_more_questions(minion, programs):
    empty = "<stream><update-list/></stream>"
    programs.on(READ + ["list-patches", "--all"], empty)
    programs.on(READ + ["list-updates"], empty)
    found = minion.salt["zypper.pending"]()
    assert found["packages"] == {} and found["skipped"] == []


def test_needreboot_capabilities_are_resolved_by_rpm(minion, programs):
    minion.write("needreboot", "glibc\nprovides:kernel\n")
    minion.write("needreboot.d/site", "my-driver\nprovides:no-such-capability\n")
    argv = ["rpm", "-q", "--qf", "%{NAME}\\t%{VERSION}-%{RELEASE}\\n", "--whatprovides", "kernel", "no-such-capability"]
    programs.on(argv, {"retcode": 1, "stdout": recorded("rpm/provides-kernel.txt")})
    assert minion.modules["zypper"]._needreboot() == {"glibc", "my-driver", "kernel-default"}


DRY = READ + ["install", "--dry-run"]
UPGRADE = f'<to-upgrade><solvable type="package" name="{LP}" edition="3-1" edition-old="1-1"/></to-upgrade>'


def test_an_install_looks_before_and_after(minion, programs):
    minion.rpm_qa({LP: "1-1"}, {LP: "3-150500.2.1"})
    programs.on(DRY + [LP], SUMMARY.format(UPGRADE))
    programs.on(WRITE + ["install", LP], changes=True)
    assert minion.salt["zypper.install"]([LP]) == {"changed": {LP: {"old": "1-1", "new": "3-150500.2.1"}}, "notes": []}
    assert [argv[:4] for argv in programs.calls[1:3]] == [DRY[:4], WRITE + ["install", LP]]


def test_an_install_by_force_and_edition(minion, programs):
    minion.rpm_qa({LP: "3-150500.2.1"})
    programs.on(DRY + [f"{LP}=3", "pattern:lp_sles"], SUMMARY.format(""))
    programs.on(WRITE + ["install", "--force", f"{LP}=3", "pattern:lp_sles"], {"retcode": 107}, changes=True)
    found = minion.salt["zypper.install"]([f"{LP}=3", "pattern:lp_sles"], force=True)
    assert found == {
        "changed": {},
        "notes": ["installed, but a scriptlet failed: zypper does not say of which package"],
    }


@pytest.mark.parametrize(
    ("name", "after", "message"),
    [
        (LP, {}, f"zypper install: wanted {LP} , found nothing"),
        (f"{LP}=3", {LP: "1-1"}, f"zypper install: wanted {LP} 3, found 1-1"),
    ],
)
def test_an_exit_code_of_zero_proves_nothing(minion, programs, name, after, message):
    minion.rpm_qa(after)
    programs.on(DRY + [name], SUMMARY.format(UPGRADE))
    programs.on(WRITE + ["install", name], changes=True)
    with pytest.raises(CommandExecutionError) as error:
        minion.salt["zypper.install"]([name])
    assert str(error.value) == message


def test_an_install_that_would_bring_a_kernel_starts_nothing(minion, programs):
    minion.rpm_qa({})
    programs.on(DRY + ["pattern:lp_sles"], recorded("zypper/install-kernel.xml"))
    with pytest.raises(CommandExecutionError, match="refused before anything was installed"):
        minion.salt["zypper.install"](["pattern:lp_sles"])
    assert programs.started(*WRITE, "install") == []


@pytest.mark.parametrize(
    ("text", "names"), [(recorded("zypper/update-repository-skipped.txt"), "gone"), ("text", "unknown")]
)
def test_a_skipped_repository_is_an_error_although_zypper_went_on(minion, programs, text, names):
    minion.rpm_qa({})
    programs.on(DRY + ["curl"], SUMMARY.format(""))
    programs.on(WRITE + ["install", "curl"], {"retcode": 106, "stdout": text}, changes=True)
    with pytest.raises(CommandExecutionError) as error:
        minion.salt["zypper.install"](["curl"])
    assert str(error.value) == f"zypper install: exit 106: repository {names} was skipped, what it has was not seen"


def test_patience_comes_from_the_pillar(minion, programs):
    minion.pillar["klp"] = {"zypper": {"timeout": 100, "lock_timeout": 7}}
    programs.on(READ + ["list-patches", "--all"], recorded("zypper/list-patches-all.xml"))
    minion.salt["zypper.advisories"]()
    (options,) = programs.options
    assert options["timeout"] == 107 and options["env"] == {"LC_ALL": "C", "ZYPP_LOCK_TIMEOUT": "7"}
    assert (options["stdin"], options["python_shell"], options["ignore_retcode"]) == ("", False, True)


@pytest.mark.parametrize("there", [True, False])
def test_the_flag_file_says_whether_a_reboot_is_needed(minion, programs, there):
    if there:
        minion.write("reboot-needed", "")
    assert minion.salt["zypper.needs_rebooting"]() is there and programs.calls == []
