"""Texts of klp, kgr, uname and rpm, as recorded."""

import pytest

import klp_parse
from tests.unit.loader import recorded

UPDATE_2_CVES = "CVE-2016-8666 CVE-2016-6480".split()
LAB_RPM = "kernel-livepatch-5_14_21-150500_55_7-default-3-150500.2.1"


def block(name, active, rpm=None, cves=(), **other):
    """Return a live patch as the parser has it."""
    found = {"name": name, "active": active, "rpm": rpm, "cves": list(cves)}
    return dict(found, other=other) if other else found


NONE = {"bug fixes and enhancements": "(none)"}
PATCHES = [
    (
        "patches-initial.txt",
        [block("livepatch_1_5_3_2", True, "kernel-livepatch-5_3_18-24_34-default-1-5.3.2", **NONE)],
    ),
    (
        "kgraft-patches-second-active.txt",
        [
            block("kgraft_patch_1_2_2", False),
            block("kgraft_patch_2_2_1", True, "kgraft-patch-3_12_62-60_64_8-default-2-2.1", UPDATE_2_CVES, **NONE),
        ],
    ),
    (
        "kgraft-patches-first-active.txt",
        [
            block("kgraft_patch_1_2_2", True, "kgraft-patch-3_12_62-60_64_8-default-1-2.2", **NONE),
            block("kgraft_patch_2_2_1", False),
        ],
    ),
    (
        "kgraft-patches-initial.txt",
        [block("kgraft_patch_1_8_5_1", True, "kgraft-patch-4_12_14-122_46-default-1-8.5.1", **NONE)],
    ),
    (
        "lab-patches.txt",
        [
            block(
                "livepatch_1_150500_9_3_1",
                True,
                "kernel-livepatch-5_14_21-150500_55_7-default-1-150500.9.3.1",
                **NONE,
            )
        ],
    ),
]


@pytest.mark.parametrize(("name", "patches"), PATCHES, ids=[name for name, _ in PATCHES])
def test_patches_are_read_as_recorded(name, patches):
    assert klp_parse.patches(recorded(f"klp/{name}")) == patches


@pytest.mark.parametrize(
    ("name", "number", "first", "last"),
    [
        ("patches-fixes.txt", 13, "CVE-2023-26545", "CVE-2021-39698"),
        ("kgraft-patches-many-cves.txt", 7, "CVE-2016-2384", "CVE-2013-7446"),
        ("lab-patches-converged.txt", 4, "CVE-2023-3090", "CVE-2023-1077"),
    ],
)
def test_cves_of_the_active_patch_are_kept_in_order(name, number, first, last):
    (active,) = [patch for patch in klp_parse.patches(recorded(f"klp/{name}")) if patch["active"]]
    assert (len(active["cves"]), active["cves"][0], active["cves"][-1]) == (number, first, last)


def test_during_a_transition_both_patches_are_in_use():
    found = klp_parse.patches(recorded("klp/lab-patches-in-progress.txt"))
    assert [(patch["active"], patch["rpm"]) for patch in found] == [(True, None), (True, LAB_RPM)]


def test_no_patches_are_no_lines_and_comments_are_skipped():
    assert klp_parse.patches("") == []
    assert klp_parse.patches("# a comment\n\n") == []


def test_fields_that_nobody_knows_are_kept():
    text = "livepatch_1\n    active: 1\n    expires: 2024-07-01\n"
    assert klp_parse.patches(text)[0]["other"] == {"expires": "2024-07-01"}


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("two words\n", "'two words'"),
        ("    active: 1\n", "'    active: 1'"),
        ("livepatch_1\n    what is this\n", "'    what is this'"),
        ("livepatch_1\n    active: yes\n", "unknown value 'yes' of active for 'livepatch_1'"),
        ("livepatch_1\n    RPM: a-1-1.x86_64\n", "'livepatch_1' does not say whether it is active"),
        ("livepatch_1\n\nlivepatch_2\n    active: 1\n", "'livepatch_1' does not say whether it is active"),
    ],
)
def test_unknown_lines_of_patches_are_named(text, named):
    with pytest.raises(ValueError) as error:
        klp_parse.patches(text)
    assert str(error.value).startswith("klp -v patches: ") and named in str(error.value)


@pytest.mark.parametrize(
    ("name", "word"), [("status-ready.txt", "ready"), ("lab-status-in-progress.txt", "in_progress")]
)
def test_status_is_one_word(name, word):
    assert klp_parse.transition(recorded(f"klp/{name}")) == word


@pytest.mark.parametrize("text", ["", "readyish", "ready\nready", "in progress"])
def test_unknown_status_is_named(text):
    with pytest.raises(ValueError, match="klp status: unknown answer"):
        klp_parse.transition(text)


@pytest.mark.parametrize(
    "text",
    [
        recorded("klp/blocking-none.txt"),
        recorded("klp/kgraft-blocking-none.txt"),
        "no processes with klp_in_progress set\n",
        "",
    ],
)
def test_nothing_blocks(text):
    assert klp_parse.blockers(text) == []


def test_a_blocker_has_its_command():
    (found,) = klp_parse.blockers(recorded("klp/lab-blocking.txt"))
    assert (found["command"], found["stack"], type(found["pid"])) == ("sleep 600", [], int)


def test_blockers_keep_their_stacks():
    found = klp_parse.blockers(recorded("klp/blocking-stacks.txt"))
    assert [(item["pid"], item["command"], len(item["stack"])) for item in found] == [
        (1234, "/usr/lib/dkms/agent --watch", 2),
        (4711, "[kworker/u8:2]", 0),
    ]
    assert found[0]["stack"][1] == "[<0>] agent_wait+0x31/0x90 [dkms_agent]"


@pytest.mark.parametrize(("text", "pids"), [("12\n345\n", [12, 345]), ("12: sshd\n", [12])])
def test_blockers_without_verbosity_are_numbers(text, pids):
    assert [item["pid"] for item in klp_parse.blockers(text)] == pids


@pytest.mark.parametrize("line", ["all is well", "    stack of nobody", "pid 12"])
def test_unknown_lines_of_blocking_are_named(line):
    with pytest.raises(ValueError, match="klp -v blocking: unknown line") as error:
        klp_parse.blockers(line + "\n")
    assert repr(line) in str(error.value)


# uname -r, live patch package (domain names of published advisories, packages and manuals)
KERNELS = [
    ("5.14.21-150400.24.33-default", "kernel-livepatch-5_14_21-150400_24_33-default"),
    ("5.14.21-150500.55.7-default", "kernel-livepatch-5_14_21-150500_55_7-default"),
    ("5.14.21-150500.55.12-default", "kernel-livepatch-5_14_21-150500_55_12-default"),
    ("5.14.21-150400.24.133-default", "kernel-livepatch-5_14_21-150400_24_133-default"),
    ("5.3.18-24.29-default", "kernel-livepatch-5_3_18-24_29-default"),
    ("5.3.18-24.34-default", "kernel-livepatch-5_3_18-24_34-default"),
    ("5.3.18-22-default", "kernel-livepatch-5_3_18-22-default"),
    ("5.3.18-150300.59.101-default", "kernel-livepatch-5_3_18-150300_59_101-default"),
    ("6.4.0-10-rt", "kernel-livepatch-6_4_0-10-rt"),
]


@pytest.mark.parametrize(("release", "name"), KERNELS)
def test_package_of_a_kernel_follows_from_its_release(release, name):
    assert klp_parse.package_name(release) == name


def test_kernel_release_has_three_parts():
    assert klp_parse.kernel("5.14.21-150500.55.7-default") == {
        "release": "5.14.21-150500.55.7-default",
        "version": "5.14.21-150500.55.7",
        "flavour": "default",
    }


@pytest.mark.parametrize("release", ["", "6.1.0", "6.1.0-default", "6.1.0-13", "default", "6.1.0-13-default\n"])
def test_kernel_release_of_another_form_is_named(release):
    with pytest.raises(ValueError, match="is not of the form VERSION-RELEASE-FLAVOUR"):
        klp_parse.kernel(release)


MODULES = [
    ("6-150400.2.2", "livepatch_6_150400_2_2"),
    ("1-5.3.2", "livepatch_1_5_3_2"),
    ("1-150500.9.3.1", "livepatch_1_150500_9_3_1"),
    ("2-150400.9.6.1", "livepatch_2_150400_9_6_1"),
    ("1-150500.11.3.2", "livepatch_1_150500_11_3_2"),
    ("2-2.1", "livepatch_2_2_1"),
]


@pytest.mark.parametrize(("edition", "module"), MODULES)
def test_module_of_a_package_follows_from_its_edition(edition, module):
    assert klp_parse.module_name(edition) == module
    assert klp_parse.level(edition) == int(edition.split("-")[0])


@pytest.mark.parametrize("edition", ["", "x-1", "-1", "1.2-3"])
def test_an_edition_without_a_level_is_named(edition):
    with pytest.raises(ValueError, match="does not begin with a level number"):
        klp_parse.level(edition)


@pytest.mark.parametrize(
    ("release", "arch", "said"),
    [
        ("5.14.21-150500.55.7-default", "x86_64", None),
        ("5.14.21-150500.55.7-default", "s390x", None),
        ("5.14.21-150500.55.7-default", "ppc64le", None),
        ("5.14.21-150500.13.5-rt", "x86_64", None),
        ("5.14.21-150500.55.7-default", "aarch64", "flavour default on aarch64"),
        ("5.14.21-150500.13.5-rt", "s390x", "flavour rt on s390x"),
        ("5.14.21-150500.33.3-azure", "x86_64", "flavour azure, only for default, rt"),
        ("6.1.0-13-amd64", "x86_64", "flavour amd64, only for default, rt"),
    ],
)
def test_kernels_without_live_patches_are_told(release, arch, said):
    found = klp_parse.unsupported(release, arch)
    assert found is None if said is None else said in found


def test_installed_packages_are_read_from_rpm():
    assert klp_parse.installed(recorded("rpm/installed.txt")) == {
        "kernel-default": ["5.14.21-150500.55.7.1"],
        "kernel-livepatch-5_14_21-150500_55_7-default": ["1-150500.9.3.1"],
        "kernel-livepatch-tools": ["1.4-150500.1.1"],
    }
    assert len(klp_parse.installed(recorded("rpm/all.txt"))) == 15


def test_packages_that_are_not_installed_are_absent():
    assert klp_parse.installed("package klp is not installed\na\t1-1\na\t2-1\n") == {"a": ["1-1", "2-1"]}


@pytest.mark.parametrize("line", ["error: db", "a\t", "\t1-1", "a\tb\tc", "package a b is not installed"])
def test_unknown_lines_of_rpm_are_named(line):
    with pytest.raises(ValueError, match="rpm -q: unknown line") as error:
        klp_parse.installed(line + "\n")
    assert repr(line) in str(error.value)


@pytest.mark.parametrize(
    ("text", "modules"),
    [
        (recorded("rpm/files.txt"), ["livepatch_1_150500_9_3_1"]),
        ("/lib/modules/x/livepatch/livepatch-2-1_1.ko.xz\n/lib/modules/x/extra/a.ko\n", ["livepatch_2_1_1"]),
        ("(contains no files)\n", []),
    ],
)
def test_modules_of_a_package_are_named_as_in_sysfs(text, modules):
    assert klp_parse.modules(text) == modules


@pytest.mark.parametrize(
    ("cgroup", "unit"),
    [
        ("0::/system.slice/dkms-agent.service\n", "dkms-agent.service"),
        ("0::/user.slice/user-0.slice/session-3.scope\n", "session-3.scope"),
        ("0::/user.slice/user-0.slice/user@0.service/app.slice/a.service\n", "a.service"),
        ("1:name=systemd:/system.slice/cron.service\n0::/system.slice/cron.service\n", "cron.service"),
        ("0::/system.slice/dkms-agent.service/sub\n", "dkms-agent.service"),
        ("0::/\n", None),
        ("", None),
    ],
)
def test_unit_is_the_last_one_in_the_cgroup(cgroup, unit):
    assert klp_parse.unit(cgroup) == unit


def test_the_changelog_of_a_live_patch_names_what_it_fixes():
    found = klp_parse.changelog(recorded("rpm/changelog-third.txt"))
    assert found == ["CVE-2023-1077", "CVE-2023-1281", "CVE-2023-2002", "CVE-2023-3090"]
    assert klp_parse.changelog("* Mon Jun  5 2023 a@b\n- Revert of CVE-2023-1077\n  References: CVE-2023-1281\n") == []


@pytest.mark.parametrize("text", ["", "(none)\n", "- Fix for CVE-2023-1077\n"])
def test_a_text_without_an_entry_is_no_changelog(text):
    with pytest.raises(ValueError, match="rpm -q --changelog: no entry in"):
        klp_parse.changelog(text)
