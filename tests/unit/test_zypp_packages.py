"""What is installed, by rpm: asked once, kept until the database changes, never wrong for a broken database."""

import pytest
from salt.exceptions import CommandExecutionError, SaltInvocationError

import klp_paths
import zypp_packages
from tests.unit.loader import recorded

PROVIDERS = ["rpm", "-q", "--whatprovides", "--qf", "[%{=NAME}\\t%{PROVIDENAME} = %{PROVIDEVERSION}\\n]", "pattern()"]


def test_packages_are_asked_by_one_query_and_kept(minion, programs):
    host = minion.host
    minion.rpm_q(["kernel-default", "nosuch"], {"kernel-default": "1-1,2-1"})
    for _ in range(3):
        assert zypp_packages.installed(host, ["kernel-default", "nosuch"]) == {"kernel-default": ["1-1", "2-1"]}
    assert len(programs.calls) == 1
    minion.changed()
    zypp_packages.installed(host, ["kernel-default", "nosuch"])
    assert len(programs.calls) == 2


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


@pytest.mark.parametrize("there", [True, False])
def test_the_flag_file_says_whether_a_reboot_is_needed(minion, programs, there):
    if there:
        minion.file(klp_paths.REBOOT_FLAG, "")
    assert minion.salt["zypper.needs_rebooting"]() is there and programs.calls == []


def test_needreboot_files_are_read_as_libzypp_reads_them(minion, programs):
    """Backups of rpm in the folder are not read (TargetImpl.cc)."""
    folder = klp_paths.NEEDREBOOT_FOLDER
    minion.file(klp_paths.NEEDREBOOT, "glibc # libc\n\nprovides:kernel\nprovides:\n")
    minion.file(f"{folder}/site", "# only a comment\nmy-driver\nprovides:dbus >= 2\nglibc\n")
    for name in ("a.rpmnew", "a.rpmsave", "a.rpmorig"):
        minion.file(f"{folder}/{name}", "curl\n")
    names = {"kernel-firmware": "known to libzypp", "glibc": f"named in {folder}/site"}
    names["my-driver"] = f"named in {folder}/site"
    assert zypp_packages.needreboot() == (names, ["installhint(reboot-needed)", "kernel", "dbus >= 2"])
    assert programs.calls == []


def test_without_files_libzypp_knows_some_things_by_itself(minion):
    known = ({"kernel-firmware": "known to libzypp"}, ["installhint(reboot-needed)", "kernel"])
    assert zypp_packages.needreboot() == known


@pytest.mark.parametrize(
    ("path", "changes"),
    [
        (klp_paths.RPM_DATABASE[0], True),
        (klp_paths.METADATA[0].replace("*", "a"), True),
        (klp_paths.METADATA[1].replace("*", "a.repo"), True),
        (klp_paths.METADATA[2].replace("*", "zypp"), True),
        (klp_paths.LOCKS, False),
    ],
)
def test_the_world_changes_with_packages_repositories_and_metadata(minion, path, changes):
    before = zypp_packages.world()
    minion.write(path.lstrip("/"), "more")
    assert (zypp_packages.world() != before) is changes and zypp_packages.world() == zypp_packages.world()


# -- providers ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("capability", "names"),
    [("pattern() = lp_sles", ["patterns-lp"]), ("pattern()", ["base", "patterns-lp"]), ("pattern() = no", [])],
)
def test_providers_of_a_capability(minion, programs, capability, names):
    text = "patterns-lp\tpattern() = lp_sles\npatterns-lp\tpattern-visible() = \nbase\tpattern() = base\n"
    programs.on(PROVIDERS, text)
    assert zypp_packages.providers(minion.host, capability) == names


@pytest.mark.parametrize(
    ("capability", "retcode", "text", "names"),
    [
        ("pattern() = lp_sles", 1, recorded("rpm/provides-pattern.txt"), []),
        ("pattern() = lp_sles", 0, "a\tpattern() = base\na\tother = 1\n", []),
        ("pattern() = lp_sles", 0, "a\tpattern() = base\nb\tpattern() = lp_sles\n", ["b"]),
        ("pattern()", 0, "a\tpattern() = base\n", ["a"]),
        ("pattern() = lp_sles", 1, "no package provides pattern()", []),
    ],
)
def test_a_capability_is_provided_or_not(minion, programs, capability, retcode, text, names):
    programs.on(PROVIDERS, {"retcode": retcode, "stdout": text})
    assert zypp_packages.providers(minion.host, capability) == names


@pytest.mark.parametrize("capability", ["", "-qa", "--eval=1", "a\n", None, ["a"], "a" * 300])
def test_a_capability_that_is_an_option_reaches_no_program(minion, programs, capability):
    with pytest.raises(SaltInvocationError, match="not a capability"):
        zypp_packages.providers(minion.host, capability)
    assert programs.calls == []
