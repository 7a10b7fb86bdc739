"""The lock file: which record really keeps which package; every row was measured with zypper 1.14.42."""

import pytest

from tests.unit.conftest import LP
from tests.unit.loader import load, recorded

zypp_locks = load("_utils", "zypp_locks")
PACKAGES = ["kernel-default", "kernel-default-livepatch", "curl"]
KERNEL = "kernel-default"
EVERY = PACKAGES
HEAD = "type: package\nmatch_type: glob\ncase_sensitive: on\n"
PLAIN = f"\n{HEAD}solvable_name: kernel-default\n\n"

TRAPS = [
    ("as zypper writes it", PLAIN, [KERNEL]),
    ("empty file", "", []),
    ("only blank lines", "\n \n\t\n", []),
    ("no final newline", PLAIN.strip(), [KERNEL]),
    (
        "spaces around names and values",
        " type :  package \n solvable_name :\tkernel-default \nmatch_type: glob\n",
        [KERNEL],
    ),
    ("twice the same", PLAIN + PLAIN, [KERNEL]),
    ("one version", f"{HEAD}solvable_name: kernel-default\nversion: == 5.14\n", []),
    ("newer versions", f"type: package\nversion: > 5.14\n{HEAD}solvable_name: kernel-default\n", []),
    ("version in the name", f"{HEAD}solvable_name: kernel-default > 5.14\n", []),
    ("one repository", f"repo: SLES-Updates\n{PLAIN.strip()}\n", []),
    ("an advisory", "type: patch\nmatch_type: glob\nsolvable_name: kernel-default\n", []),
    ("a kind that does not exist", "type: foo\nmatch_type: glob\nsolvable_name: kernel-default\n", []),
    ("an empty kind", "type:\nmatch_type: glob\nsolvable_name: kernel-default\n", []),
    ("any kind", "match_type: glob\nsolvable_name: kernel-default\n", [KERNEL]),
    ("carriage returns", PLAIN.replace("\n", "\r\n"), []),
    ("carriage return after match_type", "type: package\nmatch_type: glob\r\nsolvable_name: curl\n", ["curl"]),
    ("byte order mark before an empty line", "\ufeff" + PLAIN, [KERNEL]),
    ("byte order mark before the first attribute", "\ufeff" + PLAIN.lstrip(), [KERNEL]),
    ("comment line", f"# by hand\n{HEAD}# more\nsolvable_name: kernel-default\n", [KERNEL]),
    ("comment behind a value", f"{HEAD}solvable_name: kernel-default # note\n", []),
    ("comment attribute", f"{HEAD}solvable_name: kernel-default\ncomment: keep\n", [KERNEL]),
    ("unknown attribute beside good ones", f"{HEAD}solvable_name: kernel-default\nfoo: bar\n", [KERNEL]),
    ("only an unknown attribute", "foo: bar\n", []),
    ("type and an unknown attribute", "type: package\nfoo: bar\n", []),
    ("garbage ends a record", "type: package\ngarbage\nsolvable_name: curl\n", EVERY),
    ("type package alone", "type: package\n", EVERY),
    ("type patch alone", "type: patch\n", []),
    ("match_type alone", "match_type: glob\n", EVERY),
    ("case_sensitive alone", "case_sensitive: on\n", EVERY),
    ("comment alone", "comment: keep\n", []),
    ("an empty name", "type: package\nsolvable_name:\n", EVERY),
    ("an empty name of any kind", "solvable_name: \n", EVERY),
    ("an empty attribute", ": x\n", EVERY),
    ("an empty attribute of packages", ": x\ntype: package\n", EVERY),
    ("an empty attribute of advisories", ": x\ntype: patch\n", []),
    ("an empty attribute beside a name", ": x\nsolvable_name: curl\n", ["curl"]),
    ("NUL before the attribute", "\x00garbage: x\n", EVERY),
    ("NUL before the attribute beside a name", "\x00g: x\nsolvable_name: curl\n", ["curl"]),
    ("only NUL bytes", "\x00\x00\x00\n", []),
    ("several names", f"{HEAD}solvable_name: kernel-default\nsolvable_name: curl\n", [KERNEL, "curl"]),
    ("three names", f"{HEAD}solvable_name: a\nsolvable_name: b\nsolvable_name: curl\n", ["curl"]),
    ("no match_type is a substring", "type: package\nsolvable_name: Kernel-Default\n", PACKAGES[:2]),
    ("a substring is no glob", "type: package\nsolvable_name: kernel-*\n", []),
    ("substring by name", "match_type: substring\nsolvable_name: livepatch\n", PACKAGES[1:2]),
    ("unknown match_type is a substring", "match_type: foo\nsolvable_name: Kernel-Def\n", PACKAGES[:2]),
    ("glob", "match_type: glob\nsolvable_name: kernel-default*\n", PACKAGES[:2]),
    ("exact", "match_type: exact\nsolvable_name: kernel-default\n", [KERNEL]),
    ("exact is no glob", "match_type: exact\nsolvable_name: kernel-*\n", []),
    ("regex", "match_type: regex\nsolvable_name: ^kernel-def\n", PACKAGES[:2]),
    ("regex anywhere", "match_type: regex\nsolvable_name: url$\n", ["curl"]),
    ("broken regex", "match_type: regex\nsolvable_name: [\n", []),
    ("other case, sensitive", f"{HEAD}solvable_name: Kernel-Default\n", []),
    ("other case, true", "match_type: glob\ncase_sensitive: true\nsolvable_name: CURL\n", []),
    ("other case, off", "match_type: glob\ncase_sensitive: off\nsolvable_name: CURL\n", ["curl"]),
    ("other case, not said", "match_type: glob\nsolvable_name: Kernel-Default\n", [KERNEL]),
    ("old spelling", "kind: package\nstring_type: exact\nglobal_string: kernel-default\n", [KERNEL]),
    ("one state of installation", f"{HEAD}solvable_name: curl\ninstall_status: installed\n", []),
    ("every state of installation", "type: package\ninstall_status: all\n", EVERY),
]


@pytest.mark.parametrize(("text", "kept"), [row[1:] for row in TRAPS], ids=[row[0] for row in TRAPS])
def test_a_lock_counts_only_where_it_bites(text, kept):
    assert zypp_locks.locked(zypp_locks.records(text), PACKAGES) == sorted(kept)


def test_the_recorded_file_locks_nine_packages():
    locks = zypp_locks.records(recorded("zypper/locks.txt"))
    assert [lock["line"] for lock in locks] == [2 + 6 * number for number in range(9)]
    assert all(zypp_locks.plain(lock, lock["package"]) for lock in locks)
    assert zypp_locks.locked(locks, ["kernel-default", "kernel-syms", "kernel-default-livepatch"]) == [
        "kernel-default",
        "kernel-syms",
    ]


def test_a_record_is_kept_as_it_is_written():
    text = f"# note\nrepo: R\n{HEAD}solvable_name: a > 1\ncomment: why: because\nfoo: bar\n"
    assert zypp_locks.records(text) == [
        {
            "package": "a",
            "type": "package",
            "match_type": "glob",
            "case_sensitive": True,
            "version": "> 1",
            "repo": "R",
            "comment": "why: because",
            "other": {"foo": "bar"},
            "line": 2,
        }
    ]


@pytest.mark.parametrize(
    ("text", "touched"),
    [
        (f"{HEAD}solvable_name: curl\nversion: > 1\n", True),
        (f"{HEAD}repo: R\nsolvable_name: curl\n", True),
        ("type: package\nversion: > 1\n", True),
        ("type: patch\nmatch_type: glob\nsolvable_name: curl\n", False),
        (f"{HEAD}solvable_name: kernel-default\n", False),
    ],
)
def test_a_lock_of_some_versions_still_touches_a_package(text, touched):
    (lock,) = zypp_locks.records(text)
    assert zypp_locks.touches(lock, "curl") is touched


@pytest.mark.parametrize(
    "text",
    [
        f"{HEAD}solvable_name: curl\nversion: > 1\n",
        "type: package\nmatch_type: exact\ncase_sensitive: on\nsolvable_name: curl\n",
        f"{HEAD}solvable_name: cur*\n",
        f"{HEAD}solvable_name: curl\nfoo: bar\n",
        "type: package\nmatch_type: glob\nsolvable_name: curl\n",
    ],
)
def test_a_lock_of_another_form_is_not_ours(text):
    (lock,) = zypp_locks.records(text)
    assert not zypp_locks.plain(lock, "curl")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (PLAIN, "lock in line 2 of /etc/zypp/locks (kernel-default)"),
        ("type: package\n", "lock in line 1 of /etc/zypp/locks (every package)"),
        (
            f"{HEAD}repo: R\nversion: > 1\nsolvable_name: a\nsolvable_name: b\n",
            "lock in line 1 of /etc/zypp/locks (a, b; version > 1; repo R)",
        ),
    ],
)
def test_a_lock_is_described_by_its_line(text, line):
    assert zypp_locks.describe(zypp_locks.records(text)[0]) == line


def test_the_locks_of_a_host_that_went_back_are_known_by_what_was_asked_for():
    there = zypp_locks.records(recorded("zypper/locks-held.txt"))
    newer, advisory = f"{LP}>2-150500.2.1", "patch:SUSE-SLE-Module-Live-Patching-15-SP5-2023-3179"
    assert zypp_locks.absent(there, [newer, advisory, "kernel-default", "vim"]) == ["vim"]
    others = [f"{LP}>1-150500.9.3.1", LP, "patch:SUSE-SLE-Module-Live-Patching-15-SP5-2023-3001", advisory[6:]]
    assert zypp_locks.absent(there, others) == sorted(others)
    assert [zypp_locks.plain(lock, newer) for lock in there].count(True) == 1
