"""A look into a backup: what is mounted, read, compared, and always unmounted again."""

import fcntl
import hashlib
import os
import shutil

import pytest
from salt.exceptions import CommandExecutionError

import klp_backup
import klp_backup_look

HOST = "a" * 32
TABLE = "1 0 0:30 /@/.snapshots/1/snapshot / rw,relatime shared:1 - btrfs /dev/sda2 rw\n"
HOME = "2 1 0:31 /@/data /data rw - btrfs /dev/sda2 rw\n"
RPMDB = "/usr/lib/sysimage/rpm"
PACKAGES = {"curl": "1-1", "glibc": "2-1", "kernel-default": "5-1", "gpg-pubkey": "9-9"}


def line(package, path, text="text\n", flags=0, verify=4294967295, mode=0o100644, state=0, algorithm="8"):
    digest = hashlib.sha256(text.encode()).hexdigest()
    parts = [algorithm, digest, len(text), flags, verify, mode, state, package, path]
    return "\t".join(str(part) for part in parts) + "\n"


def test_the_table_of_mounts_is_read():
    root, home = klp_backup_look.mounts(TABLE + HOME.replace("/data rw", "/a\\040home rw"))
    assert root == {
        "device": "0:30",
        "subvolume": "/@/.snapshots/1/snapshot",
        "point": "/",
        "type": "btrfs",
        "source": "/dev/sda2",
    }
    assert home["point"] == "/a home"


@pytest.mark.parametrize("text", ["\n", "huh", TABLE + "1 0 0:30 / relative rw - btrfs /dev/sda2 rw"])
def test_another_table_is_an_error(text, tmp_path):
    with pytest.raises(ValueError, match="^mountinfo: unknown line "):
        klp_backup_look.mounts(text)
    (tmp_path / "table").write_text(text)
    for path in ("table", "none"):
        with pytest.raises(CommandExecutionError, match=f"/{path}: "):
            klp_backup_look.root(str(tmp_path / path))


@pytest.mark.parametrize(
    ("path", "point"),
    [("/", "/"), ("/etc", "/"), ("/data", "/data"), ("/data/me", "/data"), ("/datastead", "/")],
)
def test_the_mount_of_a_path(path, point):
    assert klp_backup_look.covering(klp_backup_look.mounts(TABLE + HOME), path)["point"] == point


def test_of_two_mounts_at_one_place_the_later_counts():
    found = klp_backup_look.mounts("1 0 0:1 / / rw - rootfs rootfs rw\n" + TABLE)
    assert klp_backup_look.covering(found, "/")["type"] == "btrfs"


@pytest.mark.parametrize(("uuid", "volume"), [("LVM-abc", True), ("CRYPT-LUKS2-abc", False), (None, False)])
def test_the_root_volume_is_looked_up(tmp_path, uuid, volume):
    (tmp_path / "table").write_text(TABLE)
    if uuid:
        folder = tmp_path / "sys/dev/block/0:30/dm"
        folder.mkdir(parents=True)
        (folder / "uuid").write_text(uuid + "\n")
    found = klp_backup_look.root(str(tmp_path / "table"), str(tmp_path / "sys"))
    assert (found["point"], found["volume"]) == ("/", volume)


def test_other_disks_are_named(tmp_path):
    more = "3 1 0:5 / /proc rw - proc proc rw\n4 1 0:30 /@/.snapshots /.snapshots rw - btrfs /dev/sda2 rw\n"
    more += "5 1 0:30 /x /run/salt-klp/backup ro - btrfs /dev/sda2 rw\n"
    (tmp_path / "table").write_text(TABLE + HOME + more + HOME.replace("/data rw", "/boot/efi rw"))
    assert klp_backup_look.untouched(str(tmp_path / "table")) == ["/boot/efi", "/data"]


def test_only_files_that_have_to_be_as_they_were_installed_count():
    text = line("a", "/good") + line("a", "/config", flags=17) + line("a", "/ghost", flags=64)
    text += line("a", "/link", mode=0o120777) + line("a", "/folder", mode=0o40755) + line("a", "/old", mode=-32348)
    text += line("a", "/absent", state=2) + line("a", "/unverified", verify=0xFFFFFFFE)
    assert [item["path"] for item in klp_backup_look.files(text)] == ["/good", "/old"]
    assert klp_backup_look.files(line("a", "/x", algorithm="(none)"))[0]["algorithm"] == "md5"
    assert klp_backup_look.files("") == []


@pytest.mark.parametrize(
    "text",
    [
        "huh",
        "\n",
        line("a", "relative"),
        line("a", "/x", algorithm="99"),
        line("a", "/x\ty"),
        line("a", "/x", flags=""),
    ],
)
def test_another_list_of_files_is_an_error(text):
    with pytest.raises(ValueError, match="^rpm -q: un"):
        klp_backup_look.files(text)


def test_packages_that_matter_come_first_then_a_spread():
    names = [f"p{number:04}" for number in range(1000)]
    found = klp_backup_look.chosen(
        names + ["zypper", "kernel-default", "gpg-pubkey", "-e", "kernel-livepatch-5_14-default"]
    )
    assert found[:3] == ["kernel-default", "kernel-livepatch-5_14-default", "zypper"]
    assert len(found) == 63 and found[3] == "p0000" and found[-1] > "p0900" and "-e" not in found
    assert klp_backup_look.chosen(["a", "b"]) == ["a", "b"]


def test_the_sample_is_bounded_and_always_the_same():
    text = "".join(line("bash", f"/b{number}") for number in range(9)) + line("bash", "/boot/vmlinuz")
    text += "".join(line(f"p{number:03}", f"/p{number}") for number in range(200))
    known = klp_backup_look.files(text)
    found = [item["path"] for item in klp_backup_look.sample(known)]
    assert found == [item["path"] for item in klp_backup_look.sample(list(reversed(known)))]
    assert len(found) == klp_backup_look.FILES and found[0] == "/boot/vmlinuz" and found[3] == "/p0"
    assert len(set(found)) == len(found)
    assert klp_backup_look.sample(known, lambda path: False) == []


def test_links_are_followed_as_in_a_chroot(tmp_path):
    (tmp_path / "usr/lib").mkdir(parents=True)
    for name, target in (("lib", "usr/lib"), ("up", "../../../../usr"), ("abs", "/usr/lib"), ("loop", "loop")):
        (tmp_path / name).symlink_to(target)
    for path in ("/lib/x", "/abs/x", "/up/lib/x", "/usr/./lib/../lib/x"):
        assert klp_backup_look.inside(str(tmp_path), path) == str(tmp_path / "usr/lib/x")
    with pytest.raises(CommandExecutionError, match="^/loop: too many links$"):
        klp_backup_look.inside(str(tmp_path), "/loop")


class Host:
    """A host whose root is a folder, and one backup of it: a copy that mount brings to its place."""

    def __init__(self, root):
        self.root, self.live, self.copy = root, root / "live", root / "copy"
        self.table, self.place, self.backup = root / "table", root / "place", root / "backup"
        for folder in (self.live, self.backup):
            self.put(folder, "etc/machine-id", HOST + "\n")
            self.put(folder, RPMDB + "/rpmdb.sqlite", "packages")
            for name in ("curl", "glibc", "kernel-default"):
                self.put(folder, f"usr/share/{name}", "text\n")
        self.backup.joinpath(RPMDB[1:], "folder").mkdir()
        self.table.write_text(TABLE)
        self.calls, self.packages, self.database = [], dict(PACKAGES), RPMDB + "\n"
        self.files = "".join(line(name, f"/usr/share/{name}") for name in ("curl", "glibc", "kernel-default"))
        self.answers = {}

    def put(self, folder, name, text):
        path = folder / name.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def call(self, argv, ok=(0,)):
        self.calls.append(argv)
        assert all(isinstance(part, str) for part in argv)
        if argv[0] == "mount":
            point = argv[-1]
            shutil.copytree(self.backup, point, dirs_exist_ok=True, symlinks=True)
            self.table.write_text(TABLE + f"9 1 0:30 /x {point} ro - btrfs /dev/sda2 rw\n")
        if argv[0] == "umount" and not (self.answers.get("umount") and "--lazy" not in argv):
            shutil.rmtree(argv[-1])
            os.mkdir(argv[-1])
            self.table.write_text(TABLE)
        return dict(
            {"retcode": 0, "stdout": self.said(argv), "stderr": ""}, **self.answers.get(argv[-1], {}), **self.busy(argv)
        )

    def busy(self, argv):
        return {"retcode": 32} if argv[0] == "umount" and self.answers.get("umount") and "--lazy" not in argv else {}

    def said(self, argv):
        if "--eval" in argv:
            return self.database
        if "-qa" in argv:
            assert (self.copy / "rpmdb.sqlite").read_text() == "packages" and not (self.copy / "folder").exists()
            return "".join(f"{name}\t{edition}\n" for name, edition in self.packages.items())
        return self.files if "-q" in argv else ""

    def prove(self, packages=None, altered=None):
        expected = {"host": HOST, "packages": packages, "altered": altered or {}}
        places = {"live": self.live, "place": self.place, "copy": self.copy, "table": self.table}
        argv = ["mount", "-o", "bind,ro", "/.snapshots/1/snapshot"]
        return klp_backup_look.prove(self.call, argv, expected, **{key: str(path) for key, path in places.items()})

    def refused(self, message):
        with pytest.raises(CommandExecutionError, match=message):
            self.prove()
        assert not self.copy.exists() and not (self.place / "backup").exists()


@pytest.fixture
def host(tmp_path, monkeypatch):
    """A host, and a kernel that says that every mount is read-only."""
    monkeypatch.setattr(os, "statvfs", lambda path: os.statvfs_result((0,) * 8 + (os.ST_RDONLY, 255)))
    return Host(tmp_path)


def test_a_good_backup_is_proved_and_left_as_it_was(host):
    found = host.prove(klp_backup.digest(PACKAGES))
    assert (found["files"], found["altered"]) == (3, {})
    assert found["packages"]["curl"] == ["1-1"] and len(found["packages"]) == 4
    assert [argv[0] for argv in host.calls] == ["mount", "rpm", "rpm", "rpm", "umount"]
    assert host.calls[3][-3:] == ["glibc", "kernel-default", "curl"]
    assert not host.copy.exists() and os.listdir(host.place) == ["lock"]
    assert os.stat(host.place).st_mode & 0o777 == 0o700
    assert host.prove()["files"] == 3


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("etc/machine-id", "b" * 32, f"^it is of another host .machine id 'b+'., this one is {HOST}$"),
        ("etc/machine-id", None, "^it holds no /etc/machine-id .No such file or directory.$"),
        (
            "usr/share/curl",
            "other\n",
            "^file /usr/share/curl of package curl has 6 bytes and digest .*says 5 bytes and",
        ),
        ("usr/share/curl", None, "^file /usr/share/curl of package curl is missing, the rpm database says 5 bytes"),
    ],
)
def test_a_backup_that_is_wrong_is_refused(host, name, text, message):
    host.backup.joinpath(name).unlink()
    if text:
        host.put(host.backup, name, text)
    host.refused(message)


def test_what_is_no_regular_file_is_missing(host):
    host.backup.joinpath("usr/share/curl").unlink()
    host.backup.joinpath("usr/share/curl").mkdir()
    host.refused("^file /usr/share/curl of package curl is missing")


def test_a_file_that_was_changed_by_hand_is_copied_faithfully(host):
    for folder in (host.live, host.backup):
        host.put(folder, "usr/share/curl", "mine\n")
    altered = host.prove()["altered"]
    assert list(altered) == ["/usr/share/curl"]
    host.put(host.live, "usr/share/curl", "updated\n")
    assert host.prove(altered=altered)["altered"] == altered
    host.refused("^file /usr/share/curl of package curl has 5 bytes and digest ")


def test_files_of_other_volumes_are_not_compared(host):
    host.files = line("curl", "/data/x") + line("glibc", "/data/gone/x")
    host.call = lambda argv, ok=(0,), call=host.call: _with_home(host, argv, call(argv, ok))
    host.refused("^no file of its packages could be compared$")


def _with_home(host, argv, answer):
    if argv[0] == "mount":
        host.table.write_text(host.table.read_text() + HOME)
    return answer


def test_other_packages_than_remembered_are_refused(host):
    host.packages["curl"] = "2-1"
    with pytest.raises(CommandExecutionError, match="^its rpm database has 4 packages, not those that this host had"):
        host.prove(klp_backup.digest(PACKAGES))


@pytest.mark.parametrize("path", ["", "relative", "%{_dbpath}", "/a\nb"])
def test_a_path_of_the_rpm_database_is_checked(host, path):
    host.database = path
    host.refused("^rpm --eval %{_dbpath}: wanted a path, found ")


def test_an_rpm_database_on_another_volume_is_in_no_backup(host):
    host.database = "/data/rpm"
    host.call = lambda argv, ok=(0,), call=host.call: _with_home(host, argv, call(argv, ok))
    host.refused("^the rpm database /data/rpm is not on the root volume: no backup of that holds it$")


def test_an_rpm_database_without_packages_is_none(host):
    host.packages = {}
    host.refused(f"^the rpm database {RPMDB} in it holds no packages$")
    host.packages = dict(PACKAGES)
    shutil.rmtree(host.backup / RPMDB[1:])
    host.said = lambda argv: RPMDB if "--eval" in argv else ""
    host.refused("holds no packages$")


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"retcode": 1, "stderr": "no such table"}, "^rpm --dbpath .*/copy -qa: no such table$"),
        ({"stderr": "error: malformed"}, "-qa: error: malformed$"),
        ({"retcode": 1, "stdout": ""}, "-qa: no output$"),
        ({"stdout": "curl 1-1"}, "^rpm -q: unknown line 'curl 1-1'$"),
    ],
)
def test_an_rpm_database_that_cannot_be_read_is_refused(host, said, message):
    host.answers["%{NAME}\\t%{VERSION}-%{RELEASE}\\n"] = said
    host.refused(message)


def test_an_unknown_list_of_files_is_refused(host):
    host.files = "huh"
    host.refused("^rpm -q: unknown line 'huh'$")


def test_a_backup_that_is_mounted_writable_is_not_looked_at(host, monkeypatch):
    monkeypatch.setattr(os, "statvfs", lambda path: os.statvfs_result((0,) * 10))
    host.refused("^mount -o bind,ro /.snapshots/1/snapshot: is not mounted read-only$")


def test_what_a_killed_look_left_is_cleaned_up(host):
    point = host.place / "backup"
    point.mkdir(parents=True)
    host.copy.mkdir()
    host.put(host.copy, "rpmdb.sqlite", "old")
    host.table.write_text(TABLE + f"9 1 0:30 /x {point} ro - btrfs /dev/sda2 rw\n")
    assert host.prove()["files"] == 3
    assert [argv[0] for argv in host.calls[:2]] == ["umount", "mount"]


def test_a_mount_that_is_in_use_is_taken_away_all_the_same(host):
    host.answers["umount"] = True
    host.prove()
    assert [argv[:2] for argv in host.calls[-2:]] == [["umount", str(host.place / "backup")], ["umount", "--lazy"]]


def test_two_looks_wait_for_each_other(host, monkeypatch):
    host.place.mkdir()
    handle = os.open(host.place / "lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(handle, fcntl.LOCK_EX)
    slept: list = []

    class Clock:
        """Its other look ends after two sleeps, or never."""

        monotonic = staticmethod(lambda: float(len(slept)))

        @staticmethod
        def sleep(seconds):
            slept.append(seconds)
            if len(slept) == 2:
                os.close(handle)

    monkeypatch.setattr(klp_backup_look, "time", Clock)
    assert host.prove()["files"] == 3 and slept == [0.5, 0.5]
    again = os.open(host.place / "lock", os.O_RDWR)
    fcntl.flock(again, fcntl.LOCK_EX)
    with pytest.raises(CommandExecutionError, match="^another look into a backup did not end within 120 seconds$"):
        host.prove()
    os.close(again)
