"""Package locks on real lock files: what counts as a lock, what is left alone, and what is refused."""

import pytest

from tests.functional.conftest import KERNEL_EDITION, LOCKS, LP, apply, equip, settings, snapshot
from tests.lab.host import Host

FILE = "/etc/zypp/locks"
RECORD = "\ntype: package\nmatch_type: glob\ncase_sensitive: on\nsolvable_name: {}\n\n"
PLAIN = RECORD.format("kernel-default")
GLOB = RECORD.format("kernel-default*")
SUBSTRING = "\nsolvable_name: kernel-default\n\n"
VERSIONED = "\ntype: package\nversion: == 5.14.21-150500.55.7.1\nmatch_type: glob\ncase_sensitive: on\n"
VERSIONED += "solvable_name: kernel-default\n\n"
ABOVE = RECORD.format("kernel-default > 5.14.21-150500.55.7.1")
POOL_BOUND = "\nrepo: SLE-Product-SLES15-SP5-Pool" + PLAIN
UPDATES_BOUND = "\nrepo: SLE-Product-SLES15-SP5-Updates" + PLAIN
PATCH = RECORD.format("kernel-default").replace("type: package", "type: patch")
CRLF = PLAIN.replace("\n", "\r\n")
OTHER = "\nrepo: SLE-Product-SLES15-SP5-Pool" + RECORD.format("curl").replace("glob", "exact") + RECORD.format("bash")


@pytest.fixture(scope="module")
def shared(lab):
    """One host for all tests that only look at the lock file; no test leaves packages changed."""
    with Host(lab, "sles1", "fresh") as one:
        equip(one, settings())
        one.salt.sync()
        yield one


@pytest.fixture
def one(shared):
    """The shared host with no locks, own or foreign."""
    shared.run(["rm", "-rf", FILE, "/var/lib/salt-klp"], count=False)
    shared.forget_programs()
    return shared


def bitten(host, name="kernel-default"):
    """Tell whether zypper itself refuses to install another edition of a package."""
    edition = {"kernel-default": "5.14.21-150500.55.12.1", "curl": "8.0.1-150400.5.26.1"}[name]
    return host.zypper("in", "--dry-run", f"{name}={edition}", count=False).returncode == 4


def state(host, function, packages, **kwargs):
    """Apply one state to some packages."""
    return host.salt_call("state.single", f"zypper.{function}", name="locks", packages=packages, **kwargs)


def change(old, new):
    """Return the changes of one lock state."""
    return {"locks": {"locked": {"old": old, "new": new}}}


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(VERSIONED, id="one version"),
        pytest.param(ABOVE, id="versions above"),
        pytest.param(POOL_BOUND, id="one repository"),
        pytest.param(UPDATES_BOUND, id="another repository"),
        pytest.param(PATCH, id="a patch of that name"),
        pytest.param(CRLF, id="CRLF"),
        pytest.param("\nmatch_type: exact\ncase_sensitive: on\nsolvable_name: Kernel-Default\n\n", id="case"),
        pytest.param(PLAIN.replace("kernel-default", "kernel-default # stay"), id="comment in the line"),
        pytest.param("# " + PLAIN.strip().replace("\n", "\n# ") + "\n", id="commented out"),
    ],
)
def test_lock_that_does_not_bite_does_not_count(one, text):
    one.write(FILE, text)
    assert bitten(one) is (text in (ABOVE, UPDATES_BOUND))  # these keep this edition away, not every one
    answer = state(one, "locked", ["kernel-default"])
    assert answer.failed == {}
    assert answer.changes == change([], ["kernel-default"])
    assert bitten(one)
    assert one.count("zypper") == 1


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(PLAIN, id="plain"),
        pytest.param(PLAIN + PLAIN, id="duplicate"),
        pytest.param(SUBSTRING, id="substring"),
        pytest.param(GLOB, id="glob"),
        pytest.param("solvable_name: kernel-default\nmatch_type: exact", id="no last newline"),
        pytest.param(PLAIN.replace(": ", ":   "), id="blanks"),
        pytest.param("# stay\n" + PLAIN, id="after a comment"),
        pytest.param("\ntype: package\nmatch_type: regex\nsolvable_name: ^kernel-def\n\n", id="regex"),
        pytest.param(VERSIONED + PLAIN, id="versioned and plain"),
        pytest.param("\ufeff" + PLAIN.lstrip(), id="BOM"),
    ],
)
def test_lock_of_somebody_else_that_bites_counts_and_stays_as_it_is(one, text):
    one.write(FILE, text)
    answer = state(one, "locked", ["kernel-default"])
    assert (answer.failed, answer.changes) == ({}, {})
    assert one.read(FILE) == text
    assert one.count("zypper") == 0
    assert bitten(one)
    answer = state(one, "unlocked", ["kernel-default"])
    assert (answer.failed, answer.changes) == ({}, {})
    assert one.read(FILE) == text


def test_foreign_locks_stay_byte_for_byte(one):
    one.write(FILE, OTHER)
    answer = state(one, "locked", ["kernel-default", "kernel-devel"])
    assert answer.changes == change([], ["kernel-default", "kernel-devel"])
    for record in OTHER.strip().split("\n\n\n"):
        assert record in one.read(FILE)
    assert one.read(FILE).count("solvable_name:") == 4
    answer = state(one, "unlocked", ["kernel-default", "kernel-devel"])
    assert answer.changes == change(["kernel-default", "kernel-devel"], [])
    assert sorted(one.read(FILE).strip().split("\n\n\n")) == sorted(OTHER.strip().split("\n\n\n"))


def test_unlocked_takes_away_our_own_locks_only(one):
    one.write(FILE, RECORD.format("curl"))
    assert state(one, "locked", ["kernel-default"]).changes == change([], ["kernel-default"])
    answer = state(one, "unlocked", ["kernel-default", "curl", "bash"], test=True)
    assert answer.changes == change(["kernel-default"], [])
    assert one.read(FILE).count("solvable_name:") == 2
    answer = state(one, "unlocked", ["kernel-default", "curl", "bash"])
    assert answer.changes == change(["kernel-default"], [])
    assert one.read(FILE) == RECORD.format("curl")
    assert not bitten(one)
    again = state(one, "unlocked", ["kernel-default", "curl", "bash"])
    assert (again.failed, again.changes) == ({}, {})


def test_prediction_touches_nothing(one):
    one.write(FILE, OTHER)
    inode = one.path(FILE).stat().st_ino
    answer = state(one, "locked", LOCKS, test=True)
    assert answer.results == {"locks": None}
    assert answer.changes == change([], LOCKS)
    assert (one.read(FILE), one.path(FILE).stat().st_ino) == (OTHER, inode)
    assert not one.exists("/var/lib/salt-klp")
    assert one.count("zypper") == 0


def test_lost_lock_is_set_again(one):
    assert state(one, "locked", LOCKS).changes == change([], LOCKS)
    one.zypper("rl", "kernel-default", "kernel-source")
    rest = [name for name in LOCKS if name not in ("kernel-default", "kernel-source")]
    one.forget_programs()
    assert state(one, "locked", LOCKS).changes == change(rest, LOCKS)
    assert one.started("zypper")[0].argv[2:] == ("addlock", "kernel-default", "kernel-source")
    assert bitten(one)
    one.write(FILE, "")
    assert state(one, "locked", LOCKS).changes == change([], LOCKS)


def test_unreadable_file_is_never_no_lock(one):
    one.path(FILE).write_bytes(PLAIN.encode() + b"\xff\xfe\x00")
    for function in ("locked", "unlocked"):
        answer = state(one, function, ["kernel-default"])
        assert answer.rc != 0
        assert answer.failed["locks"].startswith(f"{FILE}: cannot be read (")
        assert answer.failed["locks"].endswith("); no lock counts until it is repaired")
        assert answer.changes == {}
    assert one.path(FILE).read_bytes() == PLAIN.encode() + b"\xff\xfe\x00"
    assert one.count("zypper") == 0


def test_directory_in_place_of_the_file_starts_no_zypper_that_would_never_end(one):
    one.path(FILE).mkdir()
    answer = state(one, "locked", ["kernel-default"])
    assert answer.failed["locks"] == (
        f"{FILE}: cannot be read ([Errno 21] Is a directory: '{FILE}'); no lock counts until it is repaired"
    )
    assert one.salt_call("zypper.refresh").rc != 0
    assert one.count("zypper") == 0


def test_dangling_link(one):
    one.run(["ln", "-s", "/nonexistent/locks", FILE], count=False)
    answer = state(one, "locked", ["kernel-default"])
    assert answer.rc != 0
    assert answer.failed["locks"].startswith("zypper addlock: exit 4 (")
    assert answer.changes == {}
    assert one.path(FILE).is_symlink()


def test_link_to_a_file_is_followed_and_kept(one):
    one.write("/etc/zypp/locks.shared", OTHER)
    one.run(["ln", "-s", "locks.shared", FILE], count=False)
    assert state(one, "locked", ["kernel-default"]).changes == change([], ["kernel-default"])
    assert one.path(FILE).is_symlink()
    assert bitten(one)


@pytest.mark.parametrize(
    "names", [["kernel-*"], ["kernel-default > 1"], ["-r"], ["a\nb"], [""], "kernel-default"], ids=str
)
def test_names_that_are_none_are_refused_before_zypper(one, names):
    answer = state(one, "locked", names)
    assert answer.rc != 0
    assert "locks" in answer.failed
    assert (one.count("zypper"), one.exists(FILE)) == (0, False)


def test_glob_that_freezes_live_patches_is_refused(one):
    text = "\ntype: package\nmatch_type: glob\ncase_sensitive: on\nsolvable_name: kernel-*\n\n"
    one.write(FILE, OTHER + text)
    before = snapshot(one)
    answer = apply(one, "klp")
    assert answer.rc != 0
    lock = f"lock in line {OTHER.count(chr(10)) + 2} of /etc/zypp/locks (kernel-*) freezes"
    lines = [f"{lock} {name}; remove it or make it narrower" for name in (LP, "kernel-livepatch-tools")]
    assert answer.failed["klp-ready"].splitlines() == lines
    assert answer.changes == {}
    assert snapshot(one) == before
    assert one.count("zypper") == 0


def test_record_that_locks_everything_is_refused(one):
    one.write(FILE, "\ntype: package\n\n")
    answer = apply(one, "klp", test=True)
    assert "lock in line 2 of /etc/zypp/locks (every package) freezes " + LP in answer.failed["klp-ready"]


def test_locks_of_a_whole_run(sles):
    """A foreign glob counts for what it covers; pillar's extra packages are locked as well; a lost lock comes back."""
    one = sles("enabled", locks={"extra": ["curl", "libz1"]})
    one.write(FILE, GLOB)
    answer = apply(one, "klp")
    covered = [name for name in LOCKS if name.startswith("kernel-default")]
    wanted = sorted([*LOCKS, "curl", "libz1"])
    assert answer.changes == {"klp-locks": {"locked": {"old": covered, "new": wanted}}}
    assert one.started("zypper")[0].argv[3:] == tuple(name for name in wanted if name not in covered)
    assert GLOB.strip() in one.read(FILE)
    assert bitten(one, "kernel-default")
    assert bitten(one, "curl")
    assert apply(one, "klp.patch").failed == {}
    assert one.editions("curl") == ["8.0.1-150400.5.23.1"]
    assert one.editions("libopenssl1_1") == ["1.1.1l-150500.17.6.1"]
    assert one.editions("kernel-default") == [KERNEL_EDITION]
    one.zypper("rl", "kernel-devel", "curl")
    answer = apply(one, "klp")
    rest = [name for name in wanted if name not in ("kernel-devel", "curl")]
    assert answer.changes == {"klp-locks": {"locked": {"old": rest, "new": wanted}}}
    assert apply(one, "klp").changes == {}
