"""Answers of zypper, as recorded."""

import pytest

from tests.unit.loader import load, recorded

zypp_parse = load("_utils", "zypp_parse")
LP = "kernel-livepatch-5_14_21-150500_55_7-default"
BASE = "SUSE-SLE-Module-Basesystem-15-SP5-2023-"
LIVE = "SUSE-SLE-Module-Live-Patching-15-SP5-2023-"
NEEDED = sorted([BASE + n for n in "2871 2990 3210 3242 3300 3310 3410 3500".split()] + [LIVE + "3001", LIVE + "3179"])


def ids(name):
    return sorted(item["id"] for item in zypp_parse.advisories(recorded(f"zypper/{name}")))


def test_advisories_that_wait_for_the_update_stack_are_seen():
    assert ids("list-patches-stack-pending.xml") == NEEDED
    assert ids("list-patches-all.xml") == NEEDED


def test_after_the_update_stack_the_rest_is_listed():
    assert ids("list-patches.xml") == [name for name in NEEDED if name != BASE + "2990"]
    assert ids("list-patches-converged.xml") == [BASE + "2871", BASE + "3410", BASE + "3500"]


@pytest.mark.parametrize(
    ("number", "category", "severity", "reboot", "stack", "status"),
    [
        ("2871", "security", "important", True, False, "needed"),
        ("2990", "recommended", "important", False, True, "needed"),
        ("3210", "security", "moderate", False, False, "needed"),
        ("3310", "optional", "low", False, False, "optional"),
        ("3500", "security", "important", True, False, "needed"),
    ],
)
def test_flags_of_an_advisory(number, category, severity, reboot, stack, status):
    found = {item["id"][-4:]: item for item in zypp_parse.advisories(recorded("zypper/list-patches-all.xml"))}
    wanted = {"category": category, "severity": severity, "reboot": reboot, "stack": stack, "status": status}
    assert {key: found[number][key] for key in wanted} == wanted


def test_cves_and_summary_of_an_advisory():
    found = {item["id"]: item for item in zypp_parse.advisories(recorded("zypper/list-patches.xml"))}
    assert found[LIVE + "3001"]["cves"] == ["CVE-2023-1077", "CVE-2023-1281"]
    assert found[LIVE + "3001"]["summary"] == f"Security update for {LP}"


def test_updates_have_old_and_new_editions():
    found = zypp_parse.updates(recorded("zypper/list-updates.xml"))
    assert found["libz1"] == {"old": "1.2.13-150500.2.3", "new": "1.2.13-150500.4.3.1"}
    assert found[LP] == {"old": "1-150500.9.3.1", "new": "3-150500.2.1"}
    assert "kernel-default" in found
    converged = zypp_parse.updates(recorded("zypper/list-updates-converged.xml"))
    assert sorted(converged) == ["glibc", "kernel-firmware-all"]


@pytest.mark.parametrize(
    ("name", "action", "items"),
    [
        ("install-live-patch.xml", "upgrade", [(LP, "package", "3-150500.2.1", "1-150500.9.3.1")]),
        ("install-kernel.xml", "install", [("kernel-default", "package", "5.14.21-150500.55.12.1", None)]),
        ("install-stack-patch.xml", "install", [(BASE + "2990", "patch", "1", None)]),
        (
            "install-stack-patch.xml",
            "upgrade",
            [("libzypp", "package", "17.31.20-150500.3.6.1", "17.31.13-150500.1.1")],
        ),
        (
            "update-with-locks.xml",
            "upgrade",
            [
                ("curl", "package", "8.0.1-150400.5.26.1", "8.0.1-150400.5.23.1"),
                ("libz1", "package", "1.2.13-150500.4.3.1", "1.2.13-150500.2.3"),
            ],
        ),
    ],
)
def test_summary_of_a_dry_run(name, action, items):
    found = zypp_parse.summary(recorded(f"zypper/{name}"))
    assert [(item["name"], item["kind"], item["edition"], item["old"]) for item in found[action]] == items
    assert found["nothing"] is False


def test_what_would_be_removed_is_seen():
    found = zypp_parse.summary(recorded("zypper/remove.xml"))
    assert sorted(item["name"] for item in found["remove"]) == [LP, "kernel-livepatch-tools"]


@pytest.mark.parametrize("name", ["install-nothing.xml", "update-nothing.xml"])
def test_nothing_to_do_is_an_answer(name):
    found = zypp_parse.summary(recorded(f"zypper/{name}"))
    assert found.pop("nothing") is True
    assert set(found) == set(zypp_parse.ACTIONS) and not any(found.values())


def test_nothing_to_do_without_a_summary_is_an_answer_too():
    assert zypp_parse.summary("<stream><message type='info'>No updates found.</message></stream>")["nothing"]


@pytest.mark.parametrize(
    "name", ["install-kernel-locked.xml", "update-locked-problem.xml", "patch-locked-problem.xml", "lock-held.xml"]
)
def test_a_problem_is_no_summary(name):
    with pytest.raises(ValueError, match="no install summary in the answer"):
        zypp_parse.summary(recorded(f"zypper/{name}"))


def test_editions_in_the_repositories():
    found = zypp_parse.editions(recorded("zypper/search-live-patch.xml"))
    assert [(item["edition"], item["installed"]) for item in found] == [
        ("3-150500.2.1", False),
        ("2-150500.2.1", False),
        ("1-150500.9.3.1", True),
    ]
    assert found[2]["repository"] == "SLE-Module-Live-Patching15-SP5-Pool"
    assert zypp_parse.editions(recorded("zypper/search-nothing.xml")) == []


def test_packages_of_advisories_come_from_their_conflicts():
    found = zypp_parse.advisory_editions(recorded("zypper/info-patches.txt"))
    assert sorted(found) == NEEDED
    assert sorted(found[BASE + "2871"]) == [
        "kernel-default",
        "kernel-default-livepatch",
        "kernel-livepatch-5_14_21-150500_55_12-default",
    ]
    assert found[LIVE + "3179"] == {LP: "3-150500.2.1"}
    assert found[BASE + "3410"] == {"dkms-agent": "2.0-1.1"}


def test_packages_of_advisories_in_the_newer_form():
    text = (
        "Name        : A\nConflicts   : [3]\n    srcpackage:zypper < 1\n    zypper-log < 1.14.64-1\n    a+b.i586 < 2\n"
    )
    assert zypp_parse.advisory_editions(text) == {"A": {"a+b": "2", "zypper-log": "1.14.64-1"}}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Conflicts   : [1]\n    curl < 2\n", "conflicts of no advisory: curl"),
        ("Name : A\nConflicts : [1]\n    whatever it is\n", "unknown conflict 'whatever it is'"),
    ],
)
def test_conflicts_of_no_advisory_or_of_another_form_are_named(text, message):
    with pytest.raises(ValueError, match=f"zypper info: {message}"):
        zypp_parse.advisory_editions(text)


def test_failed_scriptlets_are_named():
    text = recorded("zypper/update-scriptlet-failed.txt")
    assert zypp_parse.failed_scriptlets(text) == ["nfs-client-2.1.1-150500.22.3.1.x86_64"]
    assert zypp_parse.failed_scriptlets(recorded("zypper/update-nothing.txt")) == []


@pytest.mark.parametrize(
    "name", ["refresh-broken.txt", "update-repository-skipped.txt", "list-updates-repository-skipped.xml"]
)
def test_skipped_repositories_are_named(name):
    text = zypp_parse.document(recorded(f"zypper/{name}")) if name.endswith(".xml") else recorded(f"zypper/{name}")
    text = text if isinstance(text, str) else "".join(text.itertext())
    assert zypp_parse.skipped_repositories(text) == ["gone"]
    assert zypp_parse.skipped_repositories(recorded("zypper/refresh.txt")) == []


@pytest.mark.parametrize(
    ("reader", "text", "message"),
    [
        ("document", "Loading repository data...", "not XML"),
        ("document", "", "not XML"),
        ("document", '<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', "declares entities"),
        ("advisories", "<stream/>", "no update-list in the answer: '<stream/>'"),
        ("advisories", recorded("zypper/lock-held.xml"), "no update-list"),
        ("advisories", "<s><update-list><update kind='patch'/></update-list></s>", "<update> without name"),
        ("updates", "<stream/>", "no update-list in the answer: '<stream/>'"),
        ("updates", "<s><update-list><update kind='package' name='a'/></update-list></s>", "<update> without edition"),
        ("summary", "<stream/>", "no install summary in the answer: '<stream/>'"),
        ("summary", "<s><install-summary><to-wonder/></install-summary></s>", "unknown part <to-wonder>"),
        (
            "summary",
            "<s><install-summary><to-install><solvable/></to-install></install-summary></s>",
            "<solvable> without name",
        ),
        ("editions", "<s><solvable name='a'/></s>", "<solvable> without edition"),
        ("editions", "no xml", "not XML"),
    ],
)
def test_unknown_answers_are_named(reader, text, message):
    with pytest.raises(ValueError, match=message):
        getattr(zypp_parse, reader)(text)


def test_enabled_repositories_of_a_file():
    text = "[a]\nname=A\nenabled=1\n\n[b]\nenabled = no\n[c]\nbaseurl=dir:/srv\n[d]\nENABLED=0\n"
    assert [item["alias"] for item in zypp_parse.repositories(text) if item["enabled"]] == ["a", "c"]
    assert zypp_parse.repositories("enabled=0\n# nothing\n") == []


def test_an_answer_that_is_too_large_is_not_read(monkeypatch):
    monkeypatch.setattr(zypp_parse, "LARGEST", 100)
    with pytest.raises(ValueError, match="has more than 100 characters"):
        zypp_parse.document("<stream>" + " " * 100 + "</stream>")


def test_a_cve_without_an_id_is_an_error_and_no_type_error():
    text = recorded("zypper/list-patches-all.xml").replace(
        '<issue type="cve" id="CVE-2023-1077">', '<issue type="cve">'
    )
    with pytest.raises(ValueError, match="<issue> without id"):
        zypp_parse.advisories(text)


def test_advisories_that_a_search_found():
    found = zypp_parse.found_advisories(recorded("zypper/search-conflicts.xml"))
    assert [item.rsplit("-", 1)[1] for item in found] == ["2871", "3001", "3179"]
    assert zypp_parse.found_advisories(recorded("zypper/search-nothing.xml")) == []


def test_the_editions_that_an_advisory_brings():
    found = zypp_parse.advisory_editions(recorded("zypper/info-patches.txt"))
    assert found["SUSE-SLE-Module-Basesystem-15-SP5-2023-2871"] == {
        "kernel-default": "5.14.21-150500.55.12.1",
        "kernel-default-livepatch": "5.14.21-150500.55.12.1",
        "kernel-livepatch-5_14_21-150500_55_12-default": "1-150500.11.3.2",
    }


# -- advisories and packages by one call -------------------------------------------------------------------------------


def test_one_list_has_advisories_and_packages():
    text = recorded("zypper/list-updates-both.xml")
    assert ids("list-updates-both.xml") == [name for name in NEEDED if name != BASE + "2990"]
    assert zypp_parse.updates(text)["libz1"] == {"old": "1.2.13-150500.2.3", "new": "1.2.13-150500.4.3.1"}
    assert not zypp_parse.blocked(text)


def test_while_the_stack_waits_there_are_no_packages_and_that_is_seen():
    text = recorded("zypper/list-updates-both-stack-pending.xml")
    assert ids("list-updates-both-stack-pending.xml") == NEEDED and zypp_parse.updates(text) == {}
    assert zypp_parse.blocked(text) and zypp_parse.blocked(recorded("zypper/list-patches-stack-pending.xml"))
    assert not zypp_parse.blocked(recorded("zypper/list-updates-locked.xml"))


def test_the_repository_of_an_advisory_is_named():
    found = {item["id"]: item["repository"] for item in zypp_parse.advisories(recorded("zypper/list-patches-all.xml"))}
    assert found[LIVE + "3001"] == "SLE-Module-Live-Patching15-SP5-Updates"
    text = "<s><update-list><update kind='patch' name='A-1'/></update-list></s>"
    assert zypp_parse.advisories(text)[0]["repository"] is None


# -- dry runs ----------------------------------------------------------------------------------------------------------


def actions(name):
    found = zypp_parse.summary(recorded(f"zypper/{name}"))
    return {key: [(item["name"], item["edition"], item["old"]) for item in found[key]] for key in found if found[key]}


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("install-twice.xml", {"upgrade": [("slow", "2-1", "1-1")], "remove": [("slow", "2-1", None)]}),
        (
            "install-change-vendor.xml",
            {"upgrade": [("ep", "1:2-1", "1:1-1"), ("ven", "2-1", "1-1")], "change-vendor": [("ven", "2-1", "1-1")]},
        ),
    ],
)
def test_a_package_may_be_in_several_parts_of_a_summary(name, wanted):
    assert actions(name) == wanted


def test_a_part_of_a_summary_that_comes_twice_is_read_twice():
    part = "<to-install><solvable name='{}' edition='1-1'/></to-install>"
    text = f"<s><install-summary>{part.format('kernel-default')}{part.format('a')}</install-summary></s>"
    assert [item["name"] for item in zypp_parse.summary(text)["install"]] == ["kernel-default", "a"]
