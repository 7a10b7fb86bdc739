"""Which edition a level means on a host, and what refuses a level."""

import pytest
from salt.exceptions import CommandExecutionError, SaltInvocationError

import klp_enable
import klp_install
import klp_level
import klp_paths
from tests.unit.conftest import LP
from tests.unit.hosts import LATER, ONE, PENDING, SEARCH, THIRD, THREE, TWO, has, reads, repository, tool, wrote
from tests.unit.loader import recorded


@pytest.fixture(autouse=True)
def repositories(minion):
    """A repository with the levels 1, 2 and 3."""
    repository(minion)


def test_available_editions_are_newest_first(minion):
    reads(minion, SEARCH, recorded("zypper/search-live-patch.xml").replace(TWO, "10-150500.2.1"))
    assert [item["level"] for item in minion.salt["klp.available"]()] == [10, 3, 1]


TARGETS = [
    # installed, level, search, updates, edition
    (THREE, 3, True, None, THREE),
    (THREE, THREE, True, None, THREE),
    (ONE, 2, True, None, TWO),
    (ONE, THREE, True, None, THREE),
    (None, 2, True, None, TWO),
    (None, "latest", True, None, THREE),
    (None, "latest", False, None, THREE),
    (ONE, "latest", False, None, ONE),
    (ONE, "latest", True, "list-updates.xml", THREE),
    (ONE, "latest", True, "list-updates-converged.xml", ONE),
]


@pytest.mark.parametrize(("installed", "level", "search", "updates", "edition"), TARGETS)
def test_the_edition_that_a_level_means(minion, programs, installed, level, search, updates, edition):
    has(minion, installed)
    if updates:
        reads(minion, PENDING, recorded(f"zypper/{updates}"))
    assert klp_level.resolve(minion.host, level, search) == edition
    assert len([argv for argv in programs.calls if PENDING[0] in argv]) == (1 if updates else 0)


def test_the_newest_is_found_while_an_update_of_zypper_itself_is_pending(minion, programs):
    """Measured: as long as a patch of the update stack is pending, ``--type patch`` hides the packages."""
    has(minion, ONE)
    reads(minion, PENDING, recorded("zypper/list-patches-stack-pending.xml"))
    reads(minion, ["list-updates"], recorded("zypper/list-updates.xml"))
    assert klp_level.resolve(minion.host) == THREE
    assert [argv[2:] for argv in programs.calls if argv[0] == "zypper"] == [
        ["--xmlout", *PENDING],
        ["--xmlout", LATER, "list-updates"],
    ]


@pytest.mark.parametrize("level", [0, True, None, "newest", "3", 1000, [3], "3-1\n", "previous"])
def test_a_level_of_another_form_is_the_mistake_of_the_caller(minion, programs, level):
    with pytest.raises(SaltInvocationError, match="level: wanted latest, a number from 1 or an edition"):
        klp_level.resolve(minion.host, level)
    assert programs.calls == []


@pytest.mark.parametrize(
    ("text", "found", "message"),
    [
        ("", "search-nothing.xml", "no enabled repositories in /etc/zypp/repos.d"),
        ("[a]\n", "search-nothing.xml", f"no live patch package for the running kernel: {LP} is in no repository"),
        (
            "[a]\n",
            "search-live-patch.xml",
            f"live patch level 9 of {LP} is in no repository; there are: {THREE}, {TWO}, {ONE}",
        ),
    ],
)
def test_a_level_that_is_nowhere_says_what_there_is(minion, text, found, message):
    has(minion, None)
    minion.file(f"{klp_paths.REPOSITORIES}/a.repo", text)
    reads(minion, SEARCH, recorded(f"zypper/{found}"))
    with pytest.raises(CommandExecutionError) as error:
        klp_level.resolve(minion.host, 9)
    assert str(error.value).startswith(message)


@pytest.mark.parametrize("decide", [klp_level.resolve, klp_enable.goal, klp_install.install])
def test_no_way_leads_back(minion, decide):
    has(minion, THREE)
    minion.live_patch(THIRD)
    tool(minion, "klp/lab-patches-converged.txt")
    with pytest.raises(CommandExecutionError) as error:
        decide(minion.host, 1)
    assert str(error.value) == (
        f"live patch level 1 is below the installed {THREE}: klp.install never goes back; "
        "to go back: salt sles1 klp.downgrade 1"
    )
    assert wrote(minion) == []
