"""Kernel module packages: their dependencies tell for which kernels there is a build, or nothing is known."""

import pytest

import klp_kmps
from tests.unit.hosts import rpm

KERNEL, NEW = "5.14.21-150500.55.7", "5.14.21-150500.55.12"
SYMBOL = "ksym(default:lab_register)"


def package(name="dlm-kmp-default", edition="1-1", requires=(), provides=(), installed=False):
    lists = {"requires": [list(item) for item in requires], "provides": [list(item) for item in provides]}
    return {"name": name, "edition": edition, "built": None, "installed": installed, **lists}


def kernel(source=NEW, *symbols):
    version = ("kernel-default", "=", source), ("kernel-uname-r", "=", f"{source}-default"), ("kernel", "=", source)
    return package("kernel-default", f"{source}.1", provides=[*version, *symbols])


@pytest.mark.parametrize(
    ("one", "two", "order"),
    [
        ("5.14.21-150500.55.7", "5.14.21-150500.55.12", -1),
        ("5.14.21-150500.55.12.1", "5.14.21-150500.55.12", 1),
        ("5.14.21", "5.14.21-150500.55.12", 0),
        ("0:5.14.21-1", "5.14.21-1", 0),
        ("6.4-1", "5.14.21", 1),
        ("9f2a", "9f2a", 0),
    ],
)
def test_editions_are_ordered_as_rpm_does(one, two, order):
    assert klp_kmps.compare(one, two) == order
    assert klp_kmps.compare(two, one) == -order


@pytest.mark.parametrize(
    ("requires", "fits"),
    [
        ([("kernel-default", "=", NEW)], True),
        ([("kernel-default", "=", f"{NEW}.1")], True),
        ([("kernel-default", "=", KERNEL)], False),
        ([("kernel-default", ">=", KERNEL)], True),
        ([("kernel-default", "<=", KERNEL)], False),
        ([("kernel-default", "<", "5.14.22")], True),
        ([("kernel-default", ">", KERNEL), ("kernel-uname-r", "=", f"{KERNEL}-default")], False),
        ([("kernel-uname-r", "=", f"{NEW}-default"), ("bash", ">=", "5")], True),
        ([(SYMBOL, "=", "0a1b2c3d")], True),
        ([(SYMBOL, "=", "ffffffff")], False),
        ([("ksym(default:any)", "=", "ffffffff")], True),
        ([("ksym(default:gone)", "=", "0a1b2c3d")], False),
        ([("kernel(default:drivers_block)", "=", "11")], False),
        ([("kernel-default", "", ""), ("kernel-firmware-all", ">=", "2023")], None),
        ([], None),
    ],
)
def test_a_build_is_one_for_the_kernel_that_has_what_it_requires(requires, fits):
    new = kernel(NEW, (SYMBOL, "=", "0a1b2c3d"), ("ksym(default:any)", "", ""))
    assert klp_kmps.fits(package(requires=requires), new) is fits


def test_a_symbol_may_be_one_of_another_module_package():
    user = package(requires=[("ksym(default:drbd_open)", "=", "77")])
    other = package("drbd-kmp-default", provides=[("ksym(default:drbd_open)", "=", "77"), ("kernel", "=", "9")])
    assert klp_kmps.fits(user, kernel()) is False
    assert klp_kmps.fits(user, kernel(), [other]) is True
    assert klp_kmps.fits(package(requires=[("kernel", "=", "9")]), kernel(), [other]) is False


def test_a_build_that_has_to_come_with_the_kernel_is_named():
    editions = [
        package(edition="1-7.1", requires=[("kernel-default", "=", KERNEL)], installed=True),
        package(edition="1-12.1", requires=[("kernel-default", "=", NEW)]),
        package(edition="1-12.10", requires=[("kernel-default", "=", NEW)]),
        package(edition="1-12.9", requires=[("kernel-default", "=", NEW)]),
    ]
    expected = {"good": ["dlm-kmp-default"], "missing": [], "unknown": [], "install": {"dlm-kmp-default": "1-12.10"}}
    assert klp_kmps.builds(["dlm-kmp-default"], editions, kernel(), True) == expected
    stays = klp_kmps.builds(["dlm-kmp-default"], editions, kernel(KERNEL), True)
    assert stays == dict(expected, install={})


def verdict(editions, new, complete=True):
    found = klp_kmps.builds(["dlm-kmp-default"], editions, new, complete)
    return [word for word in ("good", "missing", "unknown") if found[word]]


def test_what_is_not_known_is_neither_good_nor_missing():
    other, silent = package(requires=[("kernel", "=", KERNEL)]), package(edition="2-1")
    assert verdict([other], kernel()) == ["missing"]
    assert verdict([], kernel()) == ["missing"]
    assert verdict([other], kernel(), complete=False) == ["unknown"]
    assert verdict([other, silent], kernel()) == ["unknown"]
    assert verdict([other], None) == ["unknown"]


def test_rpm_tells_of_what_is_installed(minion, programs):
    rpm(minion, {"dlm-kmp-default": "1-1,2-1", "dlm-kmp-rt": "1-1", "bash": "5-1"})
    assert klp_kmps.installed(minion.host) == {"dlm-kmp-default": ["1-1", "2-1"]}
    assert klp_kmps.dependencies(minion.host, []) == []
    lines = f"dlm-kmp-default\t1-1\t{SYMBOL}\t=\t0a\ndlm-kmp-default\t1-1\trpmlib(X)\t<=\t1\nother\t1-1\tkernel\t\t\n"
    for tag, said in (("REQUIRE", lines), ("PROVIDE", "dlm-kmp-default\t1-1\tdlm-kmp\t=\t1\n")):
        form = klp_kmps.LIST.format(tag)
        programs.on(["rpm", "-q", "--qf", form, "dlm-kmp-default-1-1", "other-1-1"], said)
    found = klp_kmps.dependencies(minion.host, ["other-1-1", "dlm-kmp-default-1-1"])
    assert found == [
        {"name": "dlm-kmp-default", "edition": "1-1", "built": None, "provides": [], "requires": [[SYMBOL, "=", "0a"]]},
        {"name": "other", "edition": "1-1", "built": None, "provides": [], "requires": [["kernel", "", ""]]},
    ]
