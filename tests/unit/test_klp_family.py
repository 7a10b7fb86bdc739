"""Every family of hosts: names, tool, programs that are asked, and the sentence of those that are refused."""

import os
import re

import pytest
from salt.exceptions import CommandExecutionError

import klp_backup_look
import klp_boot
import klp_enable
import klp_family
import klp_install
import klp_parse
import klp_paths
import klp_pillar
import klp_preflight
import klp_reboot
import klp_rollback
import klp_sys
import zypp_plan
from tests.unit.hosts import advisory, dry, reads, repository, rpm, updateinfo, wrote
from tests.unit.loader import DATA, ROOT, recorded

FAMILIES = {row["name"]: row for row in klp_family.FAMILIES}
HOSTS = [line.split("\t") for line in recorded("family/hosts.tsv").splitlines() if not line.startswith("#")]
IDS = [f"{host[0]}:{host[1]}" for host in HOSTS]
SAMPLES = sorted(path.stem for path in (DATA / "family").glob("*.os-release"))
UNKNOWN = ["debian-12", "no-id", "sles-17.0"]
# what live patching a host with this family's usual pillar asks for: (tool, packages of it, product)
TWELVE, FIFTEEN = "lifecycle-data-sle-live-patching", "lifecycle-data-sle-module-live-patching"
USUAL = {
    "SLES 12 SP4 and SP5": ("kgr", ["kgraft", TWELVE], "sle-live-patching"),
    "SLES 15 and its SP1 to SP7": ("klp", ["kernel-livepatch-tools", FIFTEEN], "sle-module-live-patching"),
    "SLES 16": ("klp", ["kernel-livepatch-tools"], ""),
    "openSUSE Leap 15.3 to 15.6": ("klp", ["kernel-livepatch-tools"], ""),
}
SENTENCES = {
    "SLES 12 up to SP3": r"^sles 12(\.3)? \(.*\) is not supported: .*/sys/kernel/kgraft.*migrate to SLES 12 SP5 or",
    "SL Micro 6.2, transactional SLES 16": r"^sles 16.0 is transactional: .*pattern kernel_livepatching, then",
    "SLE Micro 5": r"^sle-micro 5.5 is transactional: .*install -t pattern lp_sles, then restart the host$",
    "SL Micro 6.0 and 6.1": r"^sl-micro 6\.[01] is transactional: .*install kernel-default-livepatch, then",
    "other openSUSE": r"^opensuse-\S+ \S+ \(other openSUSE\) is not supported: no live patches are made for it$",
}


def row_of(sample):
    return klp_family.family(recorded(f"family/{sample}.os-release"))


FULL = [host for host in HOSTS if klp_family.refused(row_of(host[0]), False) is None]
REFUSED = [host for host in HOSTS if host not in FULL]
TRANSACTIONAL = [host for host in REFUSED if row_of(host[0])["transactional"]]


def on(hosts):
    """Run a test on a minion of each of these hosts."""
    return pytest.mark.parametrize("host", hosts, ids=[f"{host[0]}:{host[1]}" for host in hosts], indirect=True)


def test_every_family_has_a_sample_and_is_either_done_or_refused():
    assert {row_of(sample)["name"] for sample in SAMPLES} == {*FAMILIES, "unknown"}
    assert {row_of(host[0])["name"] for host in FULL} == set(USUAL)
    assert {row_of(host[0])["name"] for host in REFUSED} == set(SENTENCES)
    assert {host[0] for host in HOSTS} | set(UNKNOWN) == set(SAMPLES)


@pytest.mark.parametrize("row", FAMILIES.values(), ids=list(FAMILIES))
def test_a_row_has_known_facts_only_and_marks_of_three_kinds(row):
    whole = dict(klp_family.USUAL, **row)
    assert set(row) <= {*klp_family.USUAL, "name", "systems"} and set(klp_family.FACTS) <= set(whole)
    assert whole["names"] in klp_family.NAMES and set(whole["marks"]) <= set(klp_family.FACTS)
    assert all(re.match("documented|inferred|recorded", mark) for mark in whole["marks"].values())


def test_a_kernel_of_each_kind_has_names_and_a_sample():
    assert all(row["names"] in klp_family.NAMES for row in klp_family.KERNELS)
    seen = [klp_family.kernel(host[1])["of"] for host in HOSTS] + [klp_family.kernel("4.12.14-16.100-azure")["of"]]
    assert set(seen) == {row["of"] for row in klp_family.KERNELS}


@pytest.mark.parametrize(("sample", "release", "arch", "edition", "package", "module"), HOSTS, ids=IDS)
def test_names_go_by_the_kernel(sample, release, arch, edition, package, module):
    names = klp_family.names(release)
    assert klp_parse.package_name(release) == package == names["prefix"] + release.replace(".", "_")
    assert klp_parse.module_name(edition, release) == module
    file = f"/lib/modules/{release}/{names['folder']}/{names['prefix'][:-1]}-{edition.replace('.', '_')}.ko"
    file = file.replace("kernel-livepatch-", "livepatch-")
    assert klp_parse.modules(f"{file}\n") == [module]
    assert zypp_plan.live_patch_package(package) and not zypp_plan.kernel_package(package)
    assert zypp_plan.kernel_of(package) == release
    assert klp_family.names(release)["module"] == klp_family.NAMES[row_of(sample)["names"]]["module"]


@pytest.mark.parametrize("names", klp_family.NAMES.values(), ids=list(klp_family.NAMES))
def test_what_is_matched_elsewhere_knows_every_name(names):
    assert klp_backup_look.ABOVE_ALL.match(f"{names['prefix']}4_12_14-122_46-default")
    active = klp_boot.ACTIVE.match(f"{names['module']}12_2_1")
    assert active and active.group(1) == "12"
    for flavour in ("default", "rt"):
        brings = names["metapackage"].format(flavour)
        assert zypp_plan.metapackage(brings) and not zypp_plan.kernel_package(brings)
        assert not zypp_plan.kernel_package(f"{brings}-devel")


def test_no_module_name_is_made_without_its_kernel():
    files = [path for folder in ("_modules", "_states", "_utils") for path in (ROOT / folder).glob("*.py")]
    calls = [line for path in files for line in path.read_text().splitlines() if "klp_parse.module_name" in line]
    assert calls and all("release)" in line for line in calls)


@pytest.mark.parametrize("sample", UNKNOWN)
def test_a_system_that_nobody_knows_is_refused_with_its_id(sample):
    row = row_of(sample)
    said = {
        "debian-12": "not a SUSE host (debian 12): there are no live patches of SUSE for it, and ",
        "no-id": "not a SUSE host (no ID): ",
        "sles-17.0": "sles 17.0 (unknown) is not supported: ",
    }[sample]
    assert klp_family.refused(row, False).startswith(said)
    assert (row["name"], klp_family.family(None)["name"]) == ("unknown", "unknown")


@pytest.mark.parametrize(
    ("text", "foreign"),
    [
        ('ID=rocky\nID_LIKE="rhel centos fedora"\n', "not a SUSE host (rocky): "),
        ("ID=sl\nVERSION_ID=9\n", "not a SUSE host (sl 9): "),
        (None, "not a SUSE host (no ID): "),
        ('ID="suse-appliance"\nID_LIKE="suse"\n', None),
        ('ID="gecko"\nID_LIKE="opensuse"\n', None),
        ('ID="sles"\nVERSION_ID="99"\n', None),
        ('ID="sl-micro"\nVERSION_ID="6.0"\n', None),
    ],
)
def test_only_a_system_of_suse_is_none_of_others(text, foreign):
    found = klp_family.foreign(text)
    assert found is None if foreign is None else found.startswith(foreign)
    assert bool(klp_family.family(text).get("foreign")) is bool(foreign)


@pytest.mark.parametrize(
    ("release", "arch", "said"),
    [
        ("5.14.21-150500.33.3-azure", "x86_64", "flavour azure, only for default, rt"),
        ("6.4.0-150600.8.5-azure", "aarch64", "flavour azure, only for default, rt"),
        ("6.12.0-160000.7-64kb", "aarch64", "flavour 64kb, only for default, rt"),
        ("6.4.0-150600.1.1-coco", "x86_64", "flavour coco, only for default, rt"),
        ("6.12.0-160000.7-default", "aarch64", "flavour default on aarch64"),
        ("6.12.0-160000.5-rt", "ppc64le", "flavour rt on ppc64le"),
        ("4.12.14-197.10-default", "s390x", "flavour default on s390x"),
        ("4.12.14-122.46-xen", "x86_64", "flavour xen, only for default"),
        ("4.12.14-16.100-azure", "x86_64", "only the default kernels of SLES 12 SP4, SP5, SLES 15 and SP1"),
        ("4.12.14-10.5-rt", "x86_64", "only the default kernels of SLES 12 SP4, SP5, SLES 15 and SP1"),
        ("4.4.180-94.150-default", "x86_64", "/sys/kernel/kgraft"),
    ],
)
def test_flavours_and_architectures_without_live_patches_are_refused(release, arch, said):
    assert said in klp_parse.unsupported(release, arch)


@pytest.mark.parametrize(
    ("sample", "release", "said"),
    [
        ("sles-15.5", "4.12.14-122.46-default", "one of SLES 12 SP4 and SP5, and this host is sles 15.5: restart it"),
        ("sles-12.5", "4.4.180-94.150-default", "one of SLES 12 up to SP3, and this host is sles 12.5: restart it"),
        ("sles-12.5", "5.3.18-24.34-default", "into a kernel of SLES 12 SP4 and SP5 first"),
        ("sles-12.5", "4.12.14-16.100-azure", "is not supported"),
    ],
)
def test_a_host_that_was_migrated_and_not_restarted_is_refused(minion, uname, sample, release, said):
    minion.file(klp_paths.OS_RELEASE, recorded(f"family/{sample}.os-release"))
    uname(release=release)
    assert said in minion.host.unsupported_reason()


def test_the_word_auto_is_what_the_family_has():
    settings = klp_pillar.defaults()
    for name, (_, packages, product) in USUAL.items():
        row = dict(klp_family.USUAL, **FAMILIES[name])
        found = klp_family.resolved(settings, row)
        assert found["tools"] == {"packages": packages, "pattern": ""} and found["product"]["name"] == product
        tools = {"packages": ["auto", "more"], "pattern": "auto"}
        given = dict(settings, tools=tools, product={"name": "mine", "regcode": "x"})
        found = klp_family.resolved(given, row)
        assert found["tools"] == {"packages": [*packages, "more"], "pattern": row["pattern"]}
        assert found["product"] == {"name": "mine", "regcode": "x"} and found["level"] == "latest"
    none = klp_family.resolved(dict(settings, tools={"packages": [], "pattern": "x"}, product={"name": ""}), row)
    assert (none["tools"], none["product"]) == ({"packages": [], "pattern": "x"}, {"name": ""})


def test_products_of_all_families_are_looked_for():
    assert klp_family.products() == ["sle-live-patching", "sle-module-live-patching"]


def block(module, package, edition, arch):
    return f"{module}\n    active: 1\n    RPM: {package}-{edition}.{arch}\n    CVE: CVE-2023-1077\n"


@pytest.fixture
def host(request, minion, uname, paths):
    """A minion of each family, with what it needs installed, and its one live patch active."""
    sample, release, arch, edition, package, module = request.param
    uname(release=release, machine=arch)
    minion.file(klp_paths.OS_RELEASE, recorded(f"family/{sample}.os-release"))
    minion.sample = request.param
    minion.pillar["klp"] = {"backup": {"backend": "none"}}
    tool, needed = row_of(sample)["tool"], row_of(sample)["packages"]
    paths.discard("klp")
    paths.add(tool)
    (version, flavour), names = release.rsplit("-", 1), klp_family.names(release)
    rpm(minion, {f"kernel-{flavour}": version, package: edition, **dict.fromkeys(needed, "1-1"), "curl": "8-1"})
    minion.locked(*klp_preflight.lock_list(minion.host))
    minion.live_patch(module)
    minion.programs.on(["rpm", "-q", "--whatprovides", ...], {"retcode": 1, "stdout": "no package provides pattern()"})
    repository(minion)
    updateinfo(minion, "a", advisory("A-1", f"{package}={edition}"))
    minion.programs.on([tool, "status"], "ready\n")
    minion.programs.on([tool, "-v", "patches"], block(module, package, edition, arch))
    file = f"lib/modules/{release}/{names['folder']}/{module.replace('_', '-', 1)}.ko"
    minion.programs.on(["rpm", "-ql", package], f"/{file}\n")
    initrd = f"{klp_paths.BOOT}/initrd-{release}"
    minion.programs.on(["lsinitrd", initrd], f"dracut modules:\n{names['dracut']}\n{file}\n")
    return minion


@pytest.fixture
def family(host):
    return host.host.family


@on(FULL)
def test_a_whole_host_asks_its_own_programs(host, family, programs):
    sample, release, _, edition, package, module = host.sample
    tool, needed, product = USUAL[family["name"]]
    found = host.salt["klp.settings"]()
    assert (found["settings"]["tools"]["packages"], found["settings"]["product"]) == (needed, {"name": product})
    assert f"kernel-{release.rsplit('-', 1)[1]}" in found["locks"] and not any("{" in name for name in found["locks"])
    assert host.salt["klp.preflight"]() == [] and host.host.unsupported_reason() is None
    assert host.salt["klp.package"]()["name"] == package and host.salt["klp.package"]()["edition"] == edition
    assert klp_enable.goal(host.host) == {"edition": edition, "module": module, "product": None}
    verified = host.salt["klp.verify"]()
    assert {item["check"]: item["verdict"] for item in verified["checks"] if item["verdict"] != "ok"} == {}
    assert (verified["verdict"], verified["cves"]) == ("ok", ["CVE-2023-1077"])
    assert host.salt["klp.enable"]() == {"changed": {}, "notes": []}
    asked = {argv[0] for argv in programs.calls}
    assert asked == {"rpm", tool, "lsinitrd"} and [tool, "status"] in programs.calls
    assert programs.started("rpm", "-ql") == [["rpm", "-ql", package]] and programs.started("zypper") == []


@on(FULL[:3] + FULL[-2:])
def test_blockers_are_asked_of_the_own_tool(host, family, programs):
    tool = USUAL[family["name"]][0]
    host.live_patch(host.sample[5], transition=1)
    programs.on([tool, "-v", "blocking"], recorded("klp/kgraft-blocking-none.txt"))
    assert host.salt["klp.blockers"]() == [] and programs.calls == [[tool, "-v", "blocking"]]


@on(FULL[:3] + FULL[-2:])
def test_the_product_is_the_familys(host, family, paths, programs):
    product = USUAL[family["name"]][2]
    paths.add("SUSEConnect")
    programs.on(["SUSEConnect", "--status"], recorded("SUSEConnect/status.json").replace("sle-module-live", "x-module"))
    missing = klp_enable.missing_product(host.host)
    assert missing == (f"{product}/15.5/x86_64" if product else None)
    assert bool(programs.started("SUSEConnect")) is bool(product)


@on([host for host in FULL if host[0] == "sles-12.5"][:1])
def test_no_code_is_given_to_a_program_that_wants_it_on_its_command_line(host, paths, programs):
    paths.add("SUSEConnect")
    host.pillar["klp"]["product"] = {"regcode": "SECRET-1"}
    programs.on(["SUSEConnect", "--status"], recorded("SUSEConnect/status.json"))
    with pytest.raises(
        CommandExecutionError, match="sle-live-patching/15.5/x86_64 has to be activated by hand"
    ) as error:
        klp_enable._activate(host.host, klp_enable.missing_product(host.host))
    assert programs.calls == [["SUSEConnect", "--status"]] and "SECRET" not in str(error.value)
    host.pillar["klp"]["product"] = {}
    programs.on(["SUSEConnect", "--product", ...], {"retcode": 67, "stdout": "Error: no"})
    with pytest.raises(
        CommandExecutionError, match="exit 67: Error: no; if this product needs a registration code: .*by hand"
    ):
        klp_enable._activate(host.host, klp_enable.missing_product(host.host))


@on([host for host in FULL if host[0] in ("sles-12.5", "sles-15.5")])
def test_what_a_restart_would_load_is_read_by_the_familys_names(host):
    release, module = host.sample[1], host.sample[5]
    assert klp_reboot._package(host.host, release)["module"] == module
    check, found = klp_reboot._loaded(host.host, release, module)
    assert (check["verdict"], found) == ("ok", [module])


def writes(host):
    """Return what changes a host, each of it without a look at the obstacles before."""
    edition, module = host.sample[3], host.sample[5]
    goal = {"edition": edition, "module": module, "product": None}
    return {
        "klp.install": lambda: host.salt["klp.install"](),
        "klp.enable": lambda: host.salt["klp.enable"](),
        "klp.downgrade": lambda: host.salt["klp.downgrade"](1),
        "klp.disable": lambda: host.salt["klp.disable"](),
        "the state klp.patched": lambda: klp_install.install_edition(host.host, edition),
        "the state klp.enabled": lambda: klp_enable.enable_goal(host.host, "latest", goal),
        "the state klp.rolled_back": lambda: klp_rollback.downgrade_to(host.host, "1-1"),
    }


def zypper_writes(host):
    """Return what changes packages, locks or the root volume of any host."""
    return {
        "zypper.update": lambda: host.salt["zypper.update"](),
        "zypper.install": lambda: host.salt["zypper.install"](["curl"]),
        "zypper.remove": lambda: host.salt["zypper.remove"](["curl"]),
        "zypper.add_locks": lambda: host.salt["zypper.add_locks"](["curl"]),
        "root_backup.create": lambda: host.salt["root_backup.create"](),
        "root_backup.restore": lambda: host.salt["root_backup.restore"]("42", "42"),
    }


def reads_work(host):
    """Answer every reading that one of the writes makes first."""
    host.pillar["klp"]["update"] = {"others": True}
    update = '<update kind="package" name="curl" edition="9-1" edition-old="8-1"/>'
    reads(host, ["list-updates", ...], f"<stream><update-list>{update}</update-list></stream>")
    reads(host, ["install", "--dry-run", ...], dry("upgrade", "curl=9-1"))
    reads(host, ["remove", "--dry-run", "curl"], dry("remove", "curl=8-1"))


@on(REFUSED)
def test_a_refused_family_is_told_why_and_nothing_is_changed(host, family, programs):
    (said,) = host.salt["klp.preflight"](refresh=True)
    assert re.match(SENTENCES[family["name"]], said) and "\n" not in said
    found = host.salt["klp.verify"]()
    assert (found["verdict"], found["checks"][0]["detail"]) == ("unsupported", said)
    assert programs.calls == []
    reads_work(host)
    for name, write in writes(host).items():
        with pytest.raises(CommandExecutionError) as error:
            write()
        assert str(error.value) == said, name
    assert changes(host) == [] and not os.path.exists(klp_paths.RECORDS)


@on(TRANSACTIONAL)
def test_no_zypper_writes_on_a_transactional_host(host):
    reads_work(host)
    for name, write in zypper_writes(host).items():
        with pytest.raises(CommandExecutionError, match="transactional-update pkg install"):
            write()
        assert changes(host) == [], name


@on([host for host in FULL if host[0] in ("sles-12.5", "sles-15.5", "sles-16.0")])
def test_no_zypper_writes_below_a_read_only_usr(host, family, monkeypatch):
    monkeypatch.setattr(klp_sys, "read_only", lambda path: path == klp_paths.USR)
    reads_work(host)
    pattern = f"install -t pattern {family['pattern']}, then restart"
    for name, write in {**writes(host), **zypper_writes(host)}.items():
        with pytest.raises(CommandExecutionError, match="^/usr is read-only: ") as error:
            write()
        assert pattern in str(error.value) and changes(host) == [], name


def changes(host):
    """Return the calls that change something."""
    others = [argv for argv in host.programs.calls if argv[0] in ("SUSEConnect", "rmmod", "snapper")]
    return wrote(host) + others


def test_the_state_refuses_what_is_no_host_of_the_family(minion, programs):
    minion.file(klp_paths.OS_RELEASE, recorded("family/debian-12.os-release"))
    found = minion.states["klp"].ready("klp-ready")
    assert found["result"] is False and found["comment"].startswith("not a SUSE host (debian 12): ")
    assert programs.calls == []
