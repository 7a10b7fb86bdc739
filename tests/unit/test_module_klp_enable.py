"""What it takes to live patch a host: obstacles, locks, tools, product; the registration code stays secret."""

import logging

import pytest
from salt.exceptions import CommandExecutionError, SaltInvocationError

from tests.unit.conftest import LP
from tests.unit.loader import recorded

READ = ["zypper", "--non-interactive", "--xmlout"]
WRITE = ["zypper", "--non-interactive"]
SEARCH = READ + ["search", "--details", "--match-exact", "--type", "package", LP]
TOOLS, KERNEL_PACKAGE = "kernel-livepatch-tools", "5.14.21-150500.55.7.1"
ONE, THREE = "1-150500.9.3.1", "3-150500.2.1"
FIRST, THIRD = "livepatch_1_150500_9_3_1", "livepatch_3_150500_2_1"
PRODUCT = "sle-module-live-patching/15.5/x86_64"
STATUS = ["SUSEConnect", "--status"]
CODE = "SECRET-0001"


@pytest.fixture
def host(minion):
    """A host that nothing speaks against: kernel installed and locked, a live patch active, a repository."""
    minion.rpm_q(["kernel-default", LP, TOOLS], {"kernel-default": KERNEL_PACKAGE, LP: ONE, TOOLS: "1.4-1"})
    minion.locked(*minion.salt["klp.lock_list"]())
    minion.live_patch(FIRST)
    minion.write("repos.d/a.repo", "[a]\n")
    minion.programs.on(WRITE + ["refresh"], recorded("zypper/refresh.txt"))
    minion.programs.on(SEARCH, recorded("zypper/search-live-patch.xml"))
    minion.programs.on(["klp", "-v", "patches"], recorded("klp/lab-patches.txt"))
    minion.programs.on(["klp", "status"], recorded("klp/status-ready.txt"))
    return minion


@pytest.fixture
def bare(host):
    """The same host without tools and live patch."""
    host.rpm_q(["kernel-default", LP, TOOLS], {"kernel-default": KERNEL_PACKAGE})
    return host


def test_a_restoration_that_waits_for_the_reboot_stops_everything(host, programs):
    host.salt["root_backup.pending_restore"] = lambda: {"backup": "42", "since": 1}
    text = "backup 42 is being restored, what is changed now would be lost: restart the host first"
    assert (host.salt["klp.obstacles"](), programs.calls) == ([text], [])


def test_settings_are_checked_and_have_no_secret(minion):
    minion.pillar["klp"] = {"product": {"regcode": CODE}, "locks": {"extra": ["shim"]}}
    found = minion.salt["klp.settings"]()
    assert found["problems"] == [] and CODE not in repr(found)
    assert {"kernel-default", "shim"} <= set(found["locks"]) and len(found["locks"]) == 10


def test_settings_with_problems_lock_nothing(minion, uname):
    minion.pillar["klp"] = {"levle": 1}
    found = minion.salt["klp.settings"]()
    assert found["problems"] == ["pillar klp:levle: unknown key; did you mean level?"] and found["locks"] == []
    minion.pillar.clear()
    uname("6.1.0")
    assert minion.salt["klp.settings"]()["locks"] == []


def test_a_wrong_pillar_stops_everything_that_needs_it(minion, programs):
    minion.pillar["klp"] = {"level": 0}
    for name in ("klp.lock_list", "klp.rpms", "zypper.advisories", "root_backup.current"):
        with pytest.raises(SaltInvocationError, match="pillar klp:level: wanted latest"):
            minion.salt[name]()
    assert programs.calls == []


def test_unlocked_kernel_packages_are_told(minion):
    minion.locked("kernel-default", "kernel-devel", "kernel-macros")
    assert "kernel-default-base" in minion.salt["klp.unlocked"]()
    assert "kernel-default" not in minion.salt["klp.unlocked"]()


def test_nothing_speaks_against_a_good_host(host, programs):
    assert host.salt["klp.obstacles"]() == []
    assert {argv[0] for argv in programs.calls} == {"rpm"}
    assert host.salt["klp.obstacles"](refresh=True) == []
    assert programs.started("klp") == [["klp", "status"], ["klp", "-v", "patches"]]


def test_a_host_without_the_tool_is_not_asked(bare, paths, programs):
    paths.discard("klp")
    assert bare.salt["klp.obstacles"](refresh=True) == []
    assert programs.started("klp") == []


def test_a_wrong_pillar_is_an_obstacle(host):
    host.pillar["klp"] = {"levle": 1}
    assert host.salt["klp.obstacles"]() == ["pillar klp:levle: unknown key; did you mean level?"]


@pytest.mark.parametrize(
    ("kernel", "sentence"),
    [
        ({"release": "5.14.21-150500.33.3-azure"}, "there are no live patches for the flavour azure"),
        ({"machine": "aarch64"}, "there are no live patches for the flavour default on aarch64"),
    ],
)
def test_a_kernel_without_live_patches_is_an_obstacle(host, uname, kernel, sentence):
    uname(**kernel)
    (found,) = host.salt["klp.obstacles"]()
    assert sentence in found


def test_a_kernel_without_live_patching_is_an_error(host):
    host._bind("klp_sys.live_patches", root=str(host.root / "none"))
    with pytest.raises(CommandExecutionError, match="this kernel offers no live patching"):
        host.salt["klp.obstacles"]()


def test_a_running_kernel_that_is_not_installed_is_an_obstacle(host):
    host.rpm_q(["kernel-default", LP, TOOLS], {"kernel-default": "5.14.21-150500.55.12.1"})
    (found,) = host.salt["klp.obstacles"](refresh=True)
    assert found == (
        "the package of the running kernel 5.14.21-150500.55.7-default is not installed "
        "(kernel-default: 5.14.21-150500.55.12.1); reboot into an installed kernel first"
    )
    host.rpm_q(["kernel-default", LP, TOOLS], {})
    host.changed()
    assert "(kernel-default: none)" in host.salt["klp.obstacles"]()[0]


@pytest.mark.parametrize(
    ("value", "good"),
    [
        ("latest,latest-1,running", True),
        ("5.14.21-150500.55.7", True),
        ("", True),
        ("latest, latest-1", False),
        ("5.14.21-150500.55.12", False),
    ],
)
def test_settings_that_let_the_running_kernel_be_purged_are_an_obstacle(host, value, good):
    host.write("zypp.conf", f"[main]\nmultiversion.kernels = {value}\n")
    found = host.salt["klp.obstacles"]()
    assert found == [] if good else "lets purge-kernels remove the running kernel; add running to it" in found[0]


@pytest.mark.parametrize(
    ("record", "sentence"),
    [
        (
            f"type: package\nmatch_type: glob\nsolvable_name: {LP}\n",
            f"({LP}) freezes {LP}; remove it or make it narrower",
        ),
        (
            "type: package\nmatch_type: glob\nsolvable_name: kernel-*\nversion: > 1\n",
            f"(kernel-*; version > 1) freezes {LP}",
        ),
        ("type: package\n", "(every package) freezes"),
        (f"type: package\nsolvable_name: {TOOLS}\n", f"freezes {TOOLS}"),
    ],
)
def test_a_lock_that_freezes_the_live_patch_is_an_obstacle(host, record, sentence):
    host.write("locks", record)
    found = host.salt["klp.obstacles"]()
    assert sentence in found[0] and found[0].startswith("lock in line 1 of ")


def test_a_read_only_usr_is_an_obstacle(host):
    host.utils["klp_sys.read_only"] = lambda path: path == "/usr"
    (found,) = host.salt["klp.obstacles"]()
    assert found.startswith("/usr is read-only: packages of a transactional host change in a new snapshot")
    assert "LIVEPATCH_KERNEL='always'" in found and "transactional-update pkg install -t pattern lp_sles" in found


def test_a_repository_that_cannot_be_read_is_an_error(host, programs):
    programs.on(WRITE + ["refresh"], {"retcode": 4, "stdout": recorded("zypper/refresh-broken.txt")})
    with pytest.raises(CommandExecutionError, match="repository gone cannot be read"):
        host.salt["klp.obstacles"](refresh=True)


@pytest.mark.parametrize(
    ("status", "patches", "sentence"),
    [
        ("ready", recorded("klp/lab-patches-converged.txt"), f"sysfs says {FIRST} is active, klp says {THIRD}"),
        ("in_progress", recorded("klp/lab-patches.txt"), "klp status says in_progress, but no transition in sysfs"),
    ],
)
def test_a_tool_that_contradicts_the_kernel_is_an_obstacle(host, programs, status, patches, sentence):
    programs.on(["klp", "status"], status)
    programs.on(["klp", "-v", "patches"], patches)
    assert host.salt["klp.obstacles"](refresh=True) == [sentence]


@pytest.mark.parametrize("argv", [["klp", "status"], ["klp", "-v", "patches"]])
def test_a_tool_that_nobody_understands_is_an_obstacle(host, programs, argv):
    programs.on(argv, "what is this")
    (problem,) = host.salt["klp.obstacles"](refresh=True)
    assert "what is this" in problem


def test_an_enabled_host_is_left_alone(host, programs):
    assert host.salt["klp.enable"]() == {"changed": {}, "notes": []}
    assert {argv[0] for argv in programs.calls} == {"rpm"}


def test_nothing_is_enabled_on_an_unlocked_kernel(host, programs):
    host.locked("kernel-default")
    with pytest.raises(
        CommandExecutionError, match=r"^lock the kernel packages first .* not locked: kernel-default-base, "
    ):
        host.salt["klp.enable"]()
    host.write("locks", "type: package\n")
    with pytest.raises(CommandExecutionError, match="freezes"):
        host.salt["klp.enable"]()
    assert programs.started("zypper") == []


def test_tools_and_live_patch_are_installed_by_one_call(bare, programs):
    bare.rpm_qa({}, {LP: THREE, TOOLS: "1.4-1"})
    names = [TOOLS, f"{LP}={THREE}"]
    programs.on(READ + ["install", "--dry-run", *names], recorded("zypper/install-live-patch.xml"))
    programs.on(WRITE + ["install", *names], changes=True)
    found = bare.salt["klp.enable"]()
    assert found == {"changed": {LP: {"old": None, "new": THREE}, TOOLS: {"old": None, "new": "1.4-1"}}, "notes": []}


def test_missing_tools_do_not_change_the_live_patch(host, programs):
    host.rpm_q(["kernel-default", LP, TOOLS], {"kernel-default": KERNEL_PACKAGE, LP: ONE})
    host.rpm_qa({LP: ONE}, {LP: ONE, TOOLS: "1.4-1"})
    programs.on(READ + ["install", "--dry-run", TOOLS], recorded("zypper/install-live-patch.xml"))
    programs.on(WRITE + ["install", TOOLS], changes=True)
    assert list(host.salt["klp.enable"]()["changed"]) == [TOOLS]


@pytest.fixture
def registered(bare, paths):
    """The same host, registered, without the product of the live patches."""
    paths.add("SUSEConnect")
    bare.programs.on(STATUS, recorded("SUSEConnect/status.json"))
    bare.pillar["klp"] = {"product": {"regcode": CODE}}
    return bare


def activates(minion, *answers):
    minion.programs.on(["SUSEConnect", "--product", PRODUCT, "--regcode", "-"], *answers)


def test_the_code_is_given_on_standard_input_and_nowhere_else(registered, programs, caplog):
    caplog.set_level(logging.DEBUG)
    activates(registered, f"Registered with {CODE}")
    registered.rpm_qa({}, {LP: THREE, TOOLS: "1.4-1"})
    programs.on(READ + ["install", "--dry-run", ...], recorded("zypper/install-live-patch.xml"))
    programs.on(WRITE + ["install", ...], changes=True)
    found = registered.salt["klp.enable"]()
    assert found["notes"] == [f"product {PRODUCT} activated"]
    number = [argv[:2] for argv in programs.calls].index(["SUSEConnect", "--product"])
    options = programs.options[number]
    assert (options["stdin"], options["output_loglevel"], options["timeout"]) == (CODE, "quiet", 600)
    assert not any(CODE in part for argv in programs.calls for part in argv)
    assert CODE not in caplog.text and CODE not in repr(found)
    status = programs.options[programs.calls.index(STATUS)]
    assert (status["output_loglevel"], status["stdin"]) == ("quiet", "")


def test_a_refused_code_is_not_quoted(registered, programs, caplog):
    caplog.set_level(logging.DEBUG)
    activates(registered, {"retcode": 67, "stderr": f"Unknown Registration Code {CODE}."})
    with pytest.raises(CommandExecutionError) as error:
        registered.salt["klp.enable"]()
    assert str(error.value) == (
        f"SUSEConnect --product {PRODUCT} --regcode -: exit 67: Unknown Registration Code *****."
    )
    assert CODE not in caplog.text and programs.started(*WRITE, "install") == []


def test_without_a_code_none_is_given(registered, programs):
    registered.pillar.clear()
    programs.on(["SUSEConnect", "--product", PRODUCT])
    assert registered.modules["klp_enable"]._activate() == [f"product {PRODUCT} activated"]
    assert programs.options[-1]["stdin"] == ""


@pytest.mark.parametrize(
    ("change", "missing"),
    [
        (lambda host, paths: None, PRODUCT),
        (lambda host, paths: paths.discard("SUSEConnect"), None),
        (lambda host, paths: host.write("products.d/sle-module-live-patching.prod", ""), None),
        (lambda host, paths: host.pillar.update(klp={"product": {"name": ""}}), None),
        (lambda host, paths: host.programs.on(STATUS, "[]"), None),
    ],
)
def test_a_product_is_missing_only_on_a_registered_host(registered, paths, change, missing):
    change(registered, paths)
    assert registered.salt["klp.missing_product"]() == missing


@pytest.mark.parametrize("answer", [{"stdout": f"broken {CODE}"}, {"retcode": 1, "stdout": CODE}])
def test_a_status_that_nobody_understands_is_not_quoted(registered, programs, answer):
    programs.on(STATUS, answer)
    with pytest.raises(CommandExecutionError, match="SUSEConnect --status") as error:
        registered.salt["klp.missing_product"]()
    assert CODE not in str(error.value)


def test_the_goal_is_an_edition_and_its_module(host):
    assert host.salt["klp.goal"]() == {"live patch": ONE, "module": FIRST}
    assert host.salt["klp.goal"](3) == {"live patch": THREE, "module": THIRD}


def test_the_goal_is_unknown_before_the_product_is_activated(registered):
    clause = f"level latest, once the product {PRODUCT} is activated"
    assert registered.salt["klp.goal"]() == {"live patch": clause, "module": clause}
    assert registered.salt["klp.goal"](search=True) == {"live patch": THREE, "module": THIRD}
