"""The form of pillar klp:kernel: what is wrong is named by its key, and the words of a command are never shown."""

import jsonschema
import pytest

import klp_kernel_forms
import klp_pillar

SECRET = "token-7f3a"
SCHEMAS = {
    "target": klp_kernel_forms.TARGET_SCHEMA,
    "keep": klp_kernel_forms.KEEP_SCHEMA,
    "reboot": klp_kernel_forms.REBOOT_SCHEMA,
}


def problems(**kernel):
    """Return what is wrong with the pillar of a host."""
    return klp_pillar.check({"kernel": kernel})[1]


def valid(key, value):
    """Return whether the JSON Schema takes a value."""
    return jsonschema.Draft202012Validator(SCHEMAS[key]).is_valid(value)


def test_a_host_that_declares_nothing_gets_the_best_and_keeps_all():
    expected = {"target": "best", "without_fallback": False, "reboot": [], "keep": "all", "retry": False}
    assert klp_pillar.settings({})["kernel"] == expected


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("target", "best"),
        ("target", "none"),
        ("target", ""),
        ("target", None),
        ("target", "5.14.21-150500.55.19.1"),
        ("keep", "all"),
        ("keep", 2),
        ("keep", 20),
        ("reboot", []),
        ("reboot", ["/usr/sbin/crm", "node", "reboot now"]),
    ],
)
def test_what_may_be_declared(key, value):
    assert problems(**{key: value}) == []
    assert valid(key, value)


WORDS = "wanted a list of words, the program first (no shell reads it); put numbers into quotes"
TARGET = "wanted best, none or an edition such as 5.14.21-150500.55.19.1, found "


@pytest.mark.parametrize(
    ("key", "value", "problem"),
    [
        ("target", 5.14, f"{TARGET}5.14"),
        ("target", "newest", f"{TARGET}'newest'"),
        ("target", "--root=/", f"{TARGET}'--root=/'"),
        ("target", "5.14.21-1\n", TARGET + r"'5.14.21-1\n'"),
        ("target", ["best"], f"{TARGET}['best']"),
        ("target", "9" * 99, f"{TARGET}'{'9' * 56}..."),
        ("keep", 1, "wanted all or a number of kernels from 2 to 20, found 1"),
        ("keep", True, "wanted all or a number of kernels from 2 to 20, found True"),
        ("keep", "2", "wanted all or a number of kernels from 2 to 20, found '2'"),
        ("reboot", f"reboot {SECRET}", WORDS),
        ("reboot", ["/sbin/reboot", 5], WORDS),
        ("reboot", ["reboot", SECRET], "the program has to be an absolute path"),
        ("reboot", ["/sbin/reboot", f"{SECRET}\n"], "a word is too long or holds a control character"),
        ("reboot", ["/sbin/reboot"] * 101, "wanted at most 100 words, found 101"),
    ],
)
def test_what_is_wrong_is_one_sentence(key, value, problem):
    assert problems(**{key: value}) == [f"pillar klp:kernel:{key}: {problem}"]
    assert not valid(key, value)
