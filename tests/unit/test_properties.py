"""What holds for any text and any plan, not only for recorded ones."""

import inspect
import json
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.unit.loader import recorded, utils

UTILS = utils()
zypp_locks, zypp_plan = UTILS["zypp_locks"], UTILS["zypp_plan"]
zypp_hints, klp_cves = UTILS["zypp_hints"], UTILS["klp_cves"]
klp_pillar, klp_schema = UTILS["klp_pillar"], UTILS["klp_schema"]
PARSERS = [
    ("klp_parse", "kernel", "6.1.0-13-default"),
    ("klp_parse", "package_name", "6.1.0-13-default"),
    ("klp_parse", "level", "3-150500.2.1"),
    ("klp_parse", "age", "3-150500.2.1"),
    ("klp_family", "system", recorded("family/sle-micro-5.5.os-release")),
    ("klp_family", "family", recorded("family/opensuse-leap-15.6.os-release")),
    ("klp_backup", "host_id", "0123456789abcdef0123456789abcdef\n"),
    ("klp_parse", "transition", "ready\n"),
    ("klp_parse", "patches", recorded("klp/patches-initial.txt")),
    ("klp_parse", "blockers", recorded("klp/blocking-stacks.txt")),
    ("klp_parse", "installed", recorded("rpm/installed.txt")),
    ("klp_parse", "modules", recorded("rpm/files.txt")),
    ("klp_parse", "changelog", recorded("rpm/changelog-third.txt")),
    ("klp_grub", "entries", recorded("boot/grub-snapshot.cfg")),
    ("klp_grub", "environment", recorded("boot/grubenv")),
    ("klp_parse", "unit", "0::/system.slice/a.service\n"),
    ("zypp_parse", "document", recorded("zypper/lock-held.xml")),
    ("zypp_parse", "advisories", recorded("zypper/list-patches-converged.xml")),
    ("zypp_parse", "updates", recorded("zypper/list-updates-converged.xml")),
    ("zypp_parse", "summary", recorded("zypper/update-with-locks.xml")),
    ("zypp_parse", "editions", recorded("zypper/search-live-patch.xml")),
    ("zypp_parse", "packages", recorded("zypper/search-live-patch.xml")),
    ("zypp_parse", "providers", recorded("zypper/search-provides.xml")),
    ("zypp_parse", "blocked", recorded("zypper/list-updates-both.xml")),
    ("zypp_parse", "advisory_editions", recorded("zypper/info-patches.txt")[:2500]),
    ("zypp_parse", "found_advisories", recorded("zypper/search-conflicts.xml")),
    ("zypp_parse", "failed_scriptlets", recorded("zypper/update-scriptlet-failed.txt")),
    ("zypp_parse", "skipped_repositories", recorded("zypper/refresh-broken.txt")),
    ("zypp_parse", "repositories", "[a]\nname=A\nenabled=0\nservice=S\n"),
    ("zypp_parse", "some_advisory", recorded("zypper/list-updates-both.xml")),
    ("zypp_cmd", "messages", recorded("zypper/install-not-found.xml")),
    ("zypp_cmd", "holder", recorded("zypper/lock-held.txt")),
    ("klp_backup_command", "printed_id", "done\n42\n"),
    ("klp_snapper", "snapshots", recorded("snapper/list.csv")),
    ("klp_snapper", "version", "snapper 0.8.6\nflags btrfs\n"),
    ("klp_snapper", "configurations", "config,subvolume\nroot,/\n"),
    ("klp_lvm", "volumes", recorded("lvm/thin.json")),
    ("klp_backup_look", "mounts", "26 1 0:22 /@ / rw,relatime shared:1 - btrfs /dev/vda rw\n"),
    ("klp_backup_look", "files", "8\tabc\t3\t0\t3\t33188\t0\tbash\t/usr/bin/bash\n"),
    ("klp_register", "products", recorded("SUSEConnect/status.json")),
]
# Functions of texts that are tested elsewhere in the same way, and why not here.
OTHERS = {
    "klp_checks.taint": "any text at all is an answer: test_klp_checks.py",
    "klp_cmd.shortened": "any text at all has a shorter one: below",
    "klp_family.foreign": "any text at all is an answer: test_klp_family.py",
    "klp_lifecycle.read": "it wants a name as well: test_klp_lifecycle.py",
    "zypp_cmd.check_capability": "it refuses an argument of a person: test_zypp_cmd.py",
    "zypp_locks.without": "it wants names as well: below",
    "zypp_locks.records": "no text is an error, as for libzypp: below",
}


@st.composite
def damaged(draw, text):
    """Return ``text`` with lines lost, doubled and cut, and with a line of anything in it."""
    lines = draw(st.lists(st.sampled_from(text.splitlines(True) or [""]), max_size=8))
    lines.insert(draw(st.integers(0, len(lines))), draw(st.text(max_size=20)) + draw(st.sampled_from(["", "\n"])))
    whole = "".join(lines)
    return whole[draw(st.integers(0, 3)) : len(whole) - draw(st.integers(0, 3))]


@pytest.mark.parametrize(("module", "name", "sample"), PARSERS, ids=[f"{row[0]}.{row[1]}" for row in PARSERS])
def test_a_parser_answers_or_raises_a_value_error(module, name, sample):
    parser = getattr(UTILS[module], name)
    parser(sample)

    @given(st.one_of(st.text(max_size=60), damaged(sample)))
    def anything(text):
        try:
            parser(text)
        except ValueError as exc:
            assert str(exc)

    anything()


def test_no_parser_is_left_out():
    """By what the house calls it: the first argument of a parser is ``text``."""
    found = {
        f"{name}.{function}"
        for name, module in UTILS.items()
        for function, value in vars(module).items()
        if inspect.isfunction(value) and value.__module__ == module.__name__ and not function.startswith("_")
        if next(iter(inspect.signature(value).parameters), "") == "text"
    }
    assert found - {f"{module}.{name}" for module, name, _ in PARSERS} == set(OTHERS)


@given(st.text(alphabet=st.sampled_from("ab \n"), max_size=300), st.integers(2, 80))
def test_a_text_of_any_length_is_shortened_to_its_begin_and_its_end(text, longest):
    found = UTILS["klp_cmd"].shortened(text, longest)
    if len(text) <= longest:
        assert found == text
    else:
        match = re.fullmatch(r"(?s)(.*)\n\.\.\. \(\d+ characters left out\) \.\.\.\n(.*)", found)
        assert match and len(match.group(1)) + len(match.group(2)) <= longest
        assert text.startswith(match.group(1)) and text.endswith(match.group(2))


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=5)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=8,
)


@given(JSON)
def test_products_of_any_json_are_a_value_error_or_products(value):
    try:
        found = UTILS["klp_register"].products(json.dumps(value))
    except ValueError as exc:
        assert "SUSEConnect --status" in str(exc)
    else:
        assert isinstance(found, dict)


NAME = st.from_regex(r"\A[A-Za-z0-9][A-Za-z0-9._+-]{0,20}\Z")
LOCK_LINE = st.builds(
    "{}{}{}{}".format,
    st.sampled_from(["type", "match_type", "solvable_name", "version", "repo", "case_sensitive", "", "\x00", "#", "x"]),
    st.sampled_from([":", ": ", " : ", ""]),
    st.sampled_from(["package", "patch", "glob", "regex", "exact", "[", "(", "*", "a > 1", "on", "off", "", "curl"]),
    st.sampled_from(["\n", "\r\n", "\n\n", ""]),
)


@given(st.one_of(st.text(max_size=60), st.lists(LOCK_LINE, max_size=12).map("".join)), NAME)
@example("match_type: regex\nsolvable_name: (?i", "curl")
def test_any_lock_file_can_be_read(text, name):
    records = zypp_locks.records(text)
    for lock in records:
        assert zypp_locks.bites(lock, name) in (True, False)
        assert not zypp_locks.bites(lock, name) or zypp_locks.touches(lock, name)
        assert not zypp_locks.plain(lock, name) or zypp_locks.bites(lock, name)
        assert zypp_locks.describe(lock).startswith(f"lock in line {lock['line']} of ")
    assert [lock["line"] for lock in records] == sorted({lock["line"] for lock in records})
    left = zypp_locks.records(zypp_locks.without(text, [name]))
    assert not any(zypp_locks.plain(lock, name) for lock in left)


@given(st.lists(NAME, min_size=1, max_size=5), NAME)
def test_what_zypper_writes_locks_exactly_its_package(names, other):
    record = "\ntype: package\nmatch_type: glob\ncase_sensitive: on\nsolvable_name: {}\n\n"
    locks = zypp_locks.records("".join(record.format(name) for name in names))
    assert [lock["package"] for lock in locks] == names
    assert zypp_locks.locked(locks, [*names, other]) == sorted({*names, *([other] if other in names else [])})
    assert all(zypp_locks.plain(lock, lock["package"]) for lock in locks)


PACKAGES = st.sampled_from(
    ["curl", "vim", "glibc", "kernel-default", "kernel-macros", "kernel-firmware-all", "kernel-default-livepatch"]
    + ["kernel-livepatch-tools", "kernel-livepatch-5_14_21-150500_55_7-default", "kgraft-patch-4_12_14-122_46-default"]
)
IDS = st.sampled_from(["A-1", "A-2", "B-1", "B-2", "C-1"])
ADVISORY = st.fixed_dictionaries(
    {
        "id": IDS,
        "category": st.sampled_from([*klp_schema.CATEGORIES, "new"]),
        "severity": st.sampled_from([*klp_schema.SEVERITIES, "new"]),
        "status": st.sampled_from(["needed", "optional", "unwanted"]),
        "reboot": st.booleans(),
        "stack": st.booleans(),
    }
)
CHANGE = st.just({"old": "1-1", "new": "2-1"})
SETTINGS = st.fixed_dictionaries(
    {
        "categories": st.lists(st.sampled_from(klp_schema.CATEGORIES), unique=True),
        "severities": st.lists(st.sampled_from(klp_schema.SEVERITIES), unique=True),
        "exclude": st.lists(st.sampled_from(["*", "A-*", "B-1", "?-2"]), max_size=1),
        "others": st.booleans(),
        "reboot": st.booleans(),
        "licenses": st.booleans(),
    }
)
HOSTS = st.tuples(
    st.lists(ADVISORY, max_size=5, unique_by=lambda item: item["id"]),
    st.dictionaries(IDS, st.dictionaries(PACKAGES, st.sampled_from(["1-2", "2-1", "3-1"]), max_size=4)),
    st.dictionaries(PACKAGES, CHANGE),
)


@given(HOSTS, st.one_of(st.just(klp_pillar.defaults()["update"]), SETTINGS), st.sets(PACKAGES, max_size=2))
def test_every_plan_keeps_the_kernel_and_tells_what_it_leaves_out(host, update, needreboot):
    advisories, packages, updates = host
    hints = zypp_hints.hints(dict.fromkeys(needreboot, "named"))
    found = zypp_plan.plan(advisories, packages, updates, update, hints)
    taken, skipped = found["packages"], {(item["kind"], item["item"]) for item in found["skipped"]}
    for name in updates:
        assert (name in taken) + (("package", name) in skipped) + zypp_plan.live_patch_package(name) == 1
    assert not any(zypp_plan.kernel_package(name) or zypp_plan.live_patch_package(name) for name in taken)
    assert update["reboot"] or not set(taken) & needreboot
    for item in advisories:
        where = [item["id"] in found[key] for key in ("advisories", "live_patches")]
        assert sum(where) + (("advisory", item["id"]) in skipped) == 1
    assert all(item["reason"] for item in found["skipped"])


@given(HOSTS, SETTINGS)
def test_what_stays_back_for_the_kernel_is_brought_by_no_other_advisory(host, update):
    advisories, packages, updates = host
    found = zypp_plan.plan(advisories, packages, updates, update)
    there = {item["id"] for item in advisories if item["status"] != "unwanted"}
    for name, contents in packages.items():
        kernels = any(zypp_plan.kernel_package(package) for package in contents)
        assert not (name in there and kernels) or not set(contents) & set(found["packages"])


@given(HOSTS, SETTINGS)
def test_no_package_brings_about_what_is_locked_but_by_an_advisory_that_needs_it(host, update):
    advisories, contents, updates = host
    found = zypp_plan.plan(advisories, contents, updates, update)
    unwanted = [item["id"] for item in advisories if item["status"] == "unwanted"]
    skipped = {item["item"] for item in found["skipped"]}
    assert set(unwanted) <= skipped
    for ident in unwanted:
        for name, edition in contents.get(ident, {}).items():
            if name in found["packages"] and not klp_cves.newer(edition, found["packages"][name]["new"]):
                assert name in [pair[0] for pair in found["comes"].get(ident, [])]
    for pairs in found["comes"].values():
        assert all(name in contents[ident] and ident not in unwanted for name, ident in pairs)
