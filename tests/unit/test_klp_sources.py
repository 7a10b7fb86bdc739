"""Could a host have said something else than "nothing is pending"?"""

import pytest
from salt.exceptions import CommandExecutionError

import klp_paths
import klp_sources
import zypp_solver
from tests.unit.conftest import LP
from tests.unit.hosts import ONE, PENDING, SEARCH, THREE, advisory, has, reads, remembers, updateinfo
from tests.unit.loader import recorded

OTHER_LP = "kernel-livepatch-5_14_21-150500_55_12-default"
NONE = '<stream><update-list><appletinfo status="no-update-repositories"/></update-list></stream>'
SOME = "<stream><update-list></update-list></stream>"
UPDATES = "no enabled repository has updates of what is installed here, so nothing is known of pending ones; "
LIVE = "no enabled repository has updates of live patches, so nothing is known of newer ones; "
REGISTER = klp_sources.REGISTER
ACTIVATE = (
    "activate the product sle-module-live-patching (SUSEConnect --list-extensions), or give this host its channels"
)


@pytest.fixture
def host(minion, monkeypatch):
    """A host with bash, whose repositories are those of the test."""
    for name, function in minion.sources.items():
        monkeypatch.setattr(klp_sources, name, function)
    has(minion, ONE, bash="1-1")
    return minion


def repo(minion, alias, *advisories, enabled=1, service="", end=".xml"):
    updateinfo(minion, alias, *advisories, end=end)
    settle(minion, alias, enabled, service)


def settle(minion, alias, enabled=1, service=""):
    text = f"[{alias}]\nname=The {alias}\nenabled={enabled}\nservice={service}\n"
    minion.file(f"{klp_paths.REPOSITORIES}/{alias}.repo", text)


def pool(minion, alias="Pool", **kwargs):
    """A repository of packages without advisories."""
    minion.file(f"{klp_paths.RAW_METADATA}/{alias}/repodata/repomd.xml", "<repomd/>")
    settle(minion, alias, **kwargs)


def holders(minion, *names):
    """Say which repositories hold the live patch package of this kernel; what is installed is in none."""
    rows = "".join(f'<solvable name="{LP}" edition="{ONE}" repository="{name}"/>' for name in names)
    reads(minion, SEARCH, f"<stream><solvable-list>{rows}</solvable-list></stream>")


def updates(minion):
    return klp_sources.updates_problem(minion.host)


def live(minion):
    return klp_sources.live_patches_problem(minion.host)


def test_repositories_that_speak_of_what_is_here_are_believed_without_a_zypper(host):
    repo(host, "a", advisory("A", "bash=2-1"))
    repo(host, "b", advisory("B", f"{OTHER_LP}=2-1"))
    assert (updates(host), live(host)) == (None, None)
    assert host.programs.started("zypper") == []


def test_without_repositories_nothing_is_known(host):
    assert updates(host) == live(host) == zypp_solver.NO_REPOSITORIES
    repo(host, "a", advisory("A", "bash=2-1"), enabled=0)
    assert updates(host) == live(host) == zypp_solver.NO_REPOSITORIES


def test_disabled_repositories_are_named_by_what_they_hold(host):
    pool(host)
    holders(host, "(System Packages)")
    repo(host, "x", advisory("A", "bash=2-1"), enabled=0)
    repo(host, "y", advisory("B", f"{LP}=2-1"), enabled=0)
    repo(host, "z", advisory("C", "nothing-here=2-1"), enabled=0)
    pool(host, "Old-Pool", enabled=0)
    assert updates(host) == UPDATES + "enable them with: zypper mr -e x"
    assert live(host) == LIVE + "enable them with: zypper mr -e y"


def test_a_disabled_repository_that_was_never_fetched_is_named_by_its_alias(host):
    pool(host)
    holders(host)
    settle(host, "SLE-Product-Updates", enabled=0)
    settle(host, "SLE-Live-Patching-Updates", enabled=0)
    settle(host, "SLE-Live-Patching-Pool", enabled=0)
    settle(host, "my $(updates)", enabled=0)
    assert updates(host).endswith("zypper mr -e SLE-Live-Patching-Updates SLE-Product-Updates 'my $(updates)'")
    assert live(host).endswith("zypper mr -e SLE-Live-Patching-Updates")


def test_where_none_is_disabled_the_host_has_to_be_registered(host):
    pool(host)
    holders(host, "(System Packages)")
    assert (updates(host), live(host)) == (UPDATES + REGISTER, LIVE + ACTIVATE)
    host.pillar["klp"] = {"product": {"name": ""}}
    assert "activate the product of live patches" in live(host)


def test_updates_of_live_patches_alone_are_none_of_the_rest(host):
    repo(host, "Live", advisory("B", f"{LP}=2-1", "kernel-livepatch-tools=2-1"))
    assert live(host) is None and updates(host) == UPDATES + REGISTER


def test_updates_of_packages_that_are_not_here_are_none(host):
    repo(host, "Hub", advisory("A", "game=2-1"))
    holders(host)
    assert updates(host) == UPDATES + REGISTER and live(host) == LIVE + ACTIVATE


def test_an_advisory_of_a_kernel_is_none_of_live_patches(host):
    repo(host, "a", advisory("A", "bash=2-1"), advisory("B", f"{OTHER_LP}=1-1", "kernel-default=2-1"))
    holders(host, "(System Packages)")
    assert live(host) == LIVE + ACTIVATE


def test_the_klp_tool_alone_is_no_live_patch(host):
    repo(host, "a", advisory("A", "bash=2-1"), advisory("B", "kernel-livepatch-tools=2-1"))
    holders(host)
    assert live(host) == LIVE + ACTIVATE


def test_the_live_patches_of_a_new_kernel_may_not_be_made_yet(host):
    repo(host, "Live", advisory("B", f"{OTHER_LP}=2-1"))
    assert live(host) is None


def test_packages_as_delivered_and_installed_are_no_updates(host):
    repo(host, "a", advisory("A", "bash=2-1"))
    pool(host, "Live-Pool")
    holders(host, "The Live-Pool", "(System Packages)")
    assert live(host) == LIVE + ACTIVATE


def test_one_channel_with_packages_and_advisories_is_enough(host):
    repo(host, "custom", advisory("A", "bash=2-1"))
    holders(host, "The custom")
    assert (updates(host), live(host)) == (None, None)
    assert len(host.programs.started("zypper")) == 1
    assert live(host) is None and len(host.programs.started("zypper")) == 1


def test_a_new_product_has_no_advisory_yet(host):
    repo(host, "Updates", service="SLES")
    pool(host, "Live-Pool", service="LP")
    repo(host, "Live-Updates", service="LP")
    holders(host, "The Live-Pool")
    assert (updates(host), live(host)) == (None, None)


def test_an_empty_repository_of_another_service_says_nothing_of_live_patches(host):
    repo(host, "Updates", advisory("A", "bash=2-1"), service="SLES")
    repo(host, "Python", service="P")
    pool(host, "Live-Pool", service="LP")
    holders(host, "The Live-Pool")
    assert (updates(host), live(host)) == (None, LIVE + ACTIVATE)


@pytest.mark.parametrize(("said", "problem"), [(SOME, None), (NONE, UPDATES + REGISTER)])
def test_advisories_that_python_cannot_unpack_are_asked_of_zypper(host, said, problem):
    repo(host, "a", end=".xml.zst")
    reads(host, PENDING, said)
    assert updates(host) == problem


def test_live_patches_that_python_cannot_read_of_are_asked_of_zypper(host):
    repo(host, "a", end=".xml.zst")
    holders(host, "The a")
    assert live(host) is None


@pytest.mark.parametrize("text", [None, "<html/>"])
def test_a_repository_that_cannot_be_read_is_named_although_others_can(host, text):
    repo(host, "a", advisory("A", "bash=2-1"), advisory("B", f"{LP}=2-1"))
    settle(host, "b")
    if text:
        host.file(f"{klp_paths.RAW_METADATA}/b/repodata/repomd.xml", text)
    said = "repository b cannot be read, so what it has is not known; look with: zypper refresh"
    assert updates(host) == live(host) == said


@pytest.mark.parametrize("kind", ["cookie", "content"])
def test_repositories_of_other_kinds_hold_no_updates_and_are_no_problem(host, kind):
    repo(host, "a", advisory("A", "bash=2-1"), advisory("B", f"{LP}=2-1"))
    settle(host, "plain")
    host.file(f"{klp_paths.RAW_METADATA}/plain/{kind}", "")
    assert (updates(host), live(host)) == (None, None)


# -- where it is asked -------------------------------------------------------------------------------------------------


def calls(minion):
    """Return what must not say "nothing" on a host without repositories of updates."""
    return {
        "advisories": minion.salt["zypper.advisories"],
        "pending": minion.salt["zypper.pending"],
        "klp.pending": minion.salt["klp.pending"],
        "available": minion.salt["klp.available"],
        "update": minion.salt["zypper.update"],
        "install": minion.salt["klp.install"],
    }


@pytest.fixture
def blind(host):
    """A host whose zypper answers as one does that has nothing but what the product was delivered with."""
    pool(host, "Pool")
    reads(host, PENDING, NONE)
    reads(host, SEARCH, recorded("zypper/search-live-patch.xml"))
    host.locked(*host.salt["klp.settings"]()["locks"])
    host.live_patch("livepatch_1_150500_9_3_1")
    host.programs.on(["klp", "-v", "patches"], recorded("klp/lab-patches.txt"))
    return host


@pytest.mark.parametrize("name", ["advisories", "pending", "klp.pending", "available", "update", "install"])
def test_nothing_is_never_said_by_a_host_that_could_not_have_said_anything_else(blind, name):
    with pytest.raises(CommandExecutionError, match=f"^{UPDATES}|^{LIVE}"):
        calls(blind)[name]()
    writing = [argv for argv in blind.programs.started("zypper") if "--xmlout" not in argv]
    assert writing == []


def test_a_maintenance_run_is_refused_before_anything(blind):
    blind.programs.on(["zypper", "--non-interactive", "refresh"], recorded("zypper/refresh.txt"))
    assert blind.salt["klp.preflight"](refresh=True) == [UPDATES + REGISTER, LIVE + ACTIVATE]
    assert blind.salt["klp.preflight"]() == []


def test_live_patches_do_not_matter_where_the_level_is_not_the_newest(blind):
    assert klp_sources.problems(blind.host) == [UPDATES + REGISTER, LIVE + ACTIVATE]
    blind.pillar["klp"] = {"level": 1}
    assert klp_sources.problems(blind.host) == [UPDATES + REGISTER]
    blind.pillar["klp"] = {}
    remembers(blind, "hold", {"package": LP, "edition": ONE, "from": THREE, "since": 1, "locks": []})
    assert klp_sources.problems(blind.host) == [UPDATES + REGISTER]


def test_one_sentence_is_enough_for_both(host):
    assert klp_sources.problems(host.host) == [zypp_solver.NO_REPOSITORIES]


def test_a_fresh_host_does_not_take_the_oldest_live_patch_for_the_newest(blind):
    has(blind, None)
    with pytest.raises(CommandExecutionError, match=f"^{LIVE}"):
        blind.salt["klp.install"]()


# -- zypper that skips a repository ------------------------------------------------------------------------------------

SKIPS = """<stream><message type="error">Repository &apos;dead&apos; is invalid.</message>
<message type="warning">Skipping repository &apos;dead&apos; because of the above error.</message>{}</stream>"""


@pytest.mark.parametrize("code", [0, 104])
def test_not_found_does_not_hide_a_skipped_repository(host, code):
    reads(host, SEARCH, {"stdout": SKIPS.format("<solvable-list/>"), "retcode": code})
    with pytest.raises(CommandExecutionError, match=rf"^repository dead cannot be read \(zypper exit {code}\): Repos"):
        zypp_solver.editions(host.host, LP)


def test_a_search_for_advisories_that_skips_a_repository_finds_nothing_out(host):
    argv = ["search", "--type", "patch", "--conflicts", ...]
    reads(host, argv, {"stdout": SKIPS.format(""), "retcode": 104})
    with pytest.raises(CommandExecutionError, match="^repository dead cannot be read"):
        host.utils["zypp_advisories"].touching(host.host, [LP])
