"""klp_audit.window and what klp.patch refuses for it."""

import pytest
from salt.exceptions import CommandExecutionError

import klp_paths
import klp_window
from tests.unit.conftest import KERNEL, LP

NAMES = ["kernel-default", LP, "kernel-livepatch-tools", "lifecycle-data-sle-module-live-patching"]
EDITION = "5.14.21-150500.55.7.1"
BUILT = ["rpm", "-q", "--qf", "%{BUILDTIME}\\n", f"kernel-default-{EDITION}"]
PRODUCT = "sle-module-live-patching"  # the clock stands at 2023-11-14


@pytest.fixture
def host(minion):
    minion.rpm_q(NAMES, {"kernel-default": EDITION, LP: "3-150500.2.1"})
    minion.programs.on(BUILT, "1687766400\n")
    return minion


def data(minion, text, product=PRODUCT, folder=0):
    """Write lifecycle data of a product and return their path."""
    return minion.file(f"{klp_paths.LIFECYCLE[folder]}/{product}.lifecycle", text)


def window(minion, **settings):
    minion.pillar["klp"] = {"window": settings}
    return minion.salt["klp_audit.window"]()


def test_a_line_gives_the_last_day(host):
    path = data(host, f"{LP},*,2024-07-18\n")
    assert window(host) == {
        "state": "open",
        "first": "2023-06-26",
        "last": "2024-07-18",
        "days": 247,
        "estimate": None,
        "limit": None,
        "source": f"{path}:1",
        "reason": "live patches are made until 2024-07-18",
    }


def test_the_build_time_is_asked_once(host):
    window(host)
    window(host)
    assert len(host.programs.started(*BUILT)) == 1


def test_products_and_folders_are_read_in_their_order(host):
    host.file(f"{klp_paths.PRODUCTS}/SLES.prod", "")
    host.file(f"{klp_paths.PRODUCTS}/baseproduct", "")
    data(host, f"{LP},*,2024-01-01\n", "SLES")
    data(host, f"{LP},*,2024-02-01\n")
    data(host, f"{LP},*,2024-03-01\n", folder=1)
    data(host, f"{LP},*,2024-04-01\n", "other", folder=1)
    assert window(host)["last"] == "2024-03-01"
    assert [line["date"] for line in klp_window.lifecycle()["lines"]] == ["2024-01-01", "2024-02-01", "2024-03-01"]


def test_lines_and_files_that_nobody_understands_are_named(host, monkeypatch):
    path = data(host, f"what\n{LP},*,\n")
    answer = klp_window.lifecycle()
    assert answer["unknown"] == [f"{path}:1: not name,version,date[,successor]: 'what'"]
    assert answer["lines"][0]["date"] is None
    monkeypatch.setattr(klp_window, "LARGEST", 3)
    (said,) = klp_window.lifecycle()["unknown"]
    assert said == f"{path}: cannot be read, or is larger than 3 characters"


def test_no_line_is_unknown_with_an_estimate(host):
    found = window(host)
    assert (found["state"], found["estimate"]) == ("unknown", {"last": "2024-06-25", "days": 224})


def test_missing_lifecycle_data_are_named_with_the_command(host):
    cure = (
        "no lifecycle data of live patches are installed: install them with: zypper install "
        "lifecycle-data-sle-module-live-patching, or list lifecycle-data-sle-module-live-patching in pillar "
        "klp:tools:packages"
    )
    assert window(host)["reason"] == cure
    data(host, "", "SLES")
    host.file(f"{klp_paths.PRODUCTS}/SLES.prod", "")
    assert window(host)["reason"] == cure
    data(host, "")
    assert window(host)["reason"] == "the lifecycle data have no line for this kernel yet"


def test_a_family_without_a_package_of_lifecycle_data_has_no_command(host):
    host.file(klp_paths.OS_RELEASE, 'ID="sles"\nVERSION_ID="16.0"\n')
    host.rpm_q(NAMES[:3], {"kernel-default": EDITION, LP: "3-150500.2.1"})
    assert window(host)["reason"] == "no lifecycle data of live patches are installed"


def test_a_damaged_line_of_this_kernel_is_the_reason_though_another_one_is_good(host):
    path = data(host, f"{LP},*,2024-07-18\n{LP},*,someday\n")
    found = window(host)
    assert (found["state"], found["last"], found["source"]) == ("unknown", None, f"{path}:2")
    assert found["reason"] == f"{path}:2 is damaged: unknown date 'someday'"
    data(host, f"{LP},2024-07-18\n")
    assert window(host)["reason"].startswith(f"{path}:1 is damaged: not name,version,date[,successor]: ")


def test_a_damaged_line_of_nobody_knows_what_is_in_the_reason(host):
    path = data(host, "what\n/((a+)+)+/,*,2024-01-01\n")
    assert window(host)["reason"] == (
        f"the lifecycle data have no line for this kernel yet; {path}:1: not name,version,date[,successor]: 'what'; "
        f"{path}:2: regular expression '((a+)+)+' is too complicated"
    )
    data(host, f"{LP},*,2024-07-18\nwhat\n")
    assert window(host)["state"] == "open"


def test_a_running_kernel_without_package_has_no_estimate(host):
    host.changed()
    host.rpm_q(NAMES, {LP: "3-150500.2.1"})
    assert window(host)["estimate"] is None


def test_an_unknown_build_time_is_an_error(host):
    host.programs.on(BUILT, "(none)\n")
    with pytest.raises(CommandExecutionError, match="rpm -q: unknown build time"):
        window(host)


@pytest.mark.parametrize(
    ("text", "settings", "refused"),
    [
        (f"{LP},*,2023-11-13\n", {}, None),
        (f"{LP},*,2023-11-13\n", {"refuse": ["expired"]}, "expired (live patches were made until 2023-11-13)"),
        (f"{LP},*,2023-11-14\n", {"refuse": ["expired"]}, None),
        ("", {"refuse": ["expired"]}, None),
        ("", {"refuse": ["unknown"]}, "unknown (the lifecycle data have no line for this kernel yet)"),
        (
            f"{LP},*,2024-11-13\n",
            {"refuse": ["expired"], "max_level": 3},
            "expired (live patch level 3 has reached klp:window:max_level (3))",
        ),
    ],
)
def test_a_maintenance_run_is_refused_only_if_pillar_says_so(host, text, settings, refused):
    data(host, text)
    host.pillar["klp"] = {"window": settings}
    said = klp_window.problems(host.host)
    if refused is None:
        assert said == []
    else:
        wanted = (
            f"the window of kernel {KERNEL} is {refused}, and pillar klp:window:refuse says to stop: plan a reboot "
            "into a newer kernel, see klp_audit.reboot_safety"
        )
        assert said == [wanted]
