"""What asks for a reboot: by name, or by what the edition that comes provides."""

import pytest

import zypp_hints

FILE, SITE = "/etc/zypp/needreboot", "/etc/zypp/needreboot.d/site"
OWN = ["installhint(reboot-needed)", "kernel"]


def test_an_empty_file_leaves_what_libzypp_knows_by_itself():
    assert zypp_hints.read({FILE: ""}) == zypp_hints.read({}) == ({"kernel-firmware": "known to libzypp"}, OWN)


def test_names_and_capabilities_of_all_files_count():
    texts = {SITE: "a\nprovides:kernel\nprovides: x >= 2 # why\n", FILE: "# a\n\na # comment\nb\nprovides:\n"}
    names, capabilities = zypp_hints.read(texts)
    assert names == {"kernel-firmware": "known to libzypp", "a": f"named in {SITE}", "b": f"named in {FILE}"}
    assert capabilities == [*OWN, "x >= 2"]


@pytest.mark.parametrize(
    ("name", "edition", "how"),
    [
        ("a", "7-7", "named"),
        ("curl", "2-1", "provides installhint(reboot-needed)"),
        ("curl", "1-1", None),
        ("ep", "1:2-1", "provides installhint(reboot-needed)"),
        ("other", "2-1", None),
    ],
)
def test_a_hint_is_that_of_one_edition(name, edition, how):
    hints = zypp_hints.hints({"a": "named"}, OWN, [("curl", "2-1"), ("ep", "1:2-1")])
    assert zypp_hints.how(hints, name, edition) == how


def test_where_a_file_names_capabilities_it_is_not_said_which_one_it_was():
    hints = zypp_hints.hints({}, [*OWN, "x"], [("curl", "2-1")])
    assert zypp_hints.how(hints, "curl", "2-1") == (
        "provides installhint(reboot-needed), or what the needreboot files of /etc/zypp name"
    )


def test_where_a_reboot_is_allowed_nothing_asks_for_one():
    assert zypp_hints.how(zypp_hints.NONE, "kernel-firmware", "1-1") is None
