"""Pillars and arguments that are wrong or hostile: named, and refused before any program is started with them."""

import json
import sys

import pytest

from tests.functional.conftest import BACKUP, COMMAND_BACKEND, LOCKS, LP, VERIFY, apply, settings, snapshot, volumes
from tests.functional.refusal import refused
from tests.unit.loader import load

SCHEMA = load("_utils", "klp_pillar").SCHEMA
HOSTILE = {
    "shell": "; rm -rf /",
    "newline": "curl\nkernel-default",
    "end of line": "curl\n",
    "nul": "curl\0",
    "option": "--root=/",
    "dash": "-y",
    "climb": "../../etc/shadow",
    "substitution": "$(touch /tmp/hit)",
    "backticks": "`touch /tmp/hit`",
    "blank": "curl kernel-default",
    "carriage return": "curl\r",
    "escape": "\x1b[2Jcurl",
    "long": "a" * 5000,
}
# Arguments of the user's own backup programs may be anything that fits into one: they reach no shell.
CONTROL = ("newline", "end of line", "nul", "carriage return", "escape", "long")
# The registration code is given to one program on its standard input only; a blank or more than one line is no code.
CODE = (*CONTROL, "blank", "shell", "substitution", "backticks")
LOOP = """\
import json, sys
import salt.client, salt.config
opts = salt.config.minion_config("/etc/salt/minion")
opts["file_client"] = "local"
caller = salt.client.Caller(mopts=opts)
answers = []
for pillar in json.load(sys.stdin):
    states = caller.cmd("state.apply", "klp.ready", pillar={"klp": pillar})
    answers.append([state["comment"] for state in states.values() if state["result"] is False])
print(json.dumps(answers))
"""


def strings(schema=SCHEMA, path=()):
    """Return the path of each key of the schema that holds strings, with what it says of it."""
    found = []
    for key, spec in schema.items():
        if "keys" in spec:
            found += strings(spec["keys"], (*path, key))
        elif spec["type"] in ("str", "list", "level", "map"):
            found.append(((*path, key), spec))
    return found


def at(path, value):
    """Return a pillar with one key; the backend is set where the key means nothing without it."""
    pillar = value
    for key in reversed(path):
        pillar = {key: pillar}
    if path[0] == "backup" and path[1] in ("create", "verify"):
        pillar["backup"] = {**COMMAND_BACKEND, **pillar["backup"]}
    return pillar


# Where a hostile word may stand in a value.
SHAPES: dict = {
    "list": [lambda word: [word], lambda word: ["curl", word]],
    "map": [lambda word: {word: "8.0-1"}, lambda word: {"libz1": "1-1", "curl": word}],
}


def refused_words(path, spec):
    """Return what of HOSTILE this key has to refuse."""
    if spec.get("form") == "word":
        return {name: HOSTILE[name] for name in CONTROL}
    if spec.get("form") == "secret":
        return {name: HOSTILE[name] for name in CODE if name != "backticks" or " " in HOSTILE[name]}
    return HOSTILE


@pytest.mark.parametrize("path, spec", strings(), ids=lambda value: ":".join(value) if isinstance(value, tuple) else "")
def test_hostile_strings_are_refused_before_any_program_is_started(sles, path, spec):
    one = sles("enabled", pillar={})
    one.salt.sync()
    before = snapshot(one)
    words = refused_words(path, spec)
    shapes = SHAPES.get(spec["type"], [lambda word: word])
    pillars = [at(path, shape(word)) for shape in shapes for word in words.values()]
    one.forget_programs()
    done = one.run([sys.executable, "-c", LOOP], input=json.dumps(pillars))
    answers = json.loads(done.stdout.splitlines()[-1])
    assert len(answers) == len(pillars)
    for pillar, comments in zip(pillars, answers, strict=True):
        assert len(comments) == 1, pillar
        assert comments[0].startswith(f"pillar klp:{':'.join(path)}: "), pillar
        assert "\0" not in comments[0] and "\x1b" not in comments[0]
        assert len(comments[0]) < 300
    started = one.programs()
    assert [p for p in started if p.argv[0].rsplit("/", 1)[-1] in ("zypper", "klp", "SUSEConnect", "snapper")] == []
    # Salt itself starts programs for its grains; none of them is given anything of the pillar.
    for program in started:
        for word in words.values():
            assert word not in program.argv
    assert snapshot(one) == before
    assert not one.exists("/tmp/hit")


def test_hostile_arguments_of_the_backup_command_reach_no_shell(sles):
    words = [
        "; rm -rf /",
        "$(touch /tmp/hit)",
        "`touch /tmp/hit`",
        "--root=/",
        "../../etc/shadow",
        "a  b",
        "*",
        "'",
        "é",
    ]
    one = sles("enabled", backup={"backend": "command", "create": [BACKUP, *words], "verify": [VERIFY]})
    script = one.read(BACKUP).replace("touch /var", "printf '%s\\n' \"$@\" >/var/lib/words\ntouch /var", 1)
    one.write(BACKUP, script, mode=0o755)
    assert apply(one, "klp.patch").failed == {}
    assert one.read("/var/lib/words").splitlines() == words
    assert not one.exists("/tmp/hit")
    assert len(volumes(one)) == 1


@pytest.mark.parametrize("sls", ["klp", "klp.patch"])
@pytest.mark.parametrize(
    "klp, reason",
    [
        ({"levl": 3}, "pillar klp:levl: unknown key; did you mean level?"),
        ({"backup": {"backnd": "none"}}, "pillar klp:backup:backnd: unknown key; did you mean backend?"),
        (
            {"zypper": {"xyz": 1}},
            "pillar klp:zypper:xyz: unknown key; known here: lock_timeout, timeout",
        ),
        ({"update": {"reboot": "yes"}}, "pillar klp:update:reboot: wanted true or false, found 'yes'"),
        ({"update": []}, "pillar klp:update: wanted a mapping of keys, found []"),
        ({"locks": {"extra": "curl"}}, "pillar klp:locks:extra: wanted a list of strings, found 'curl'"),
        ({"locks": {"extra": [1]}}, "pillar klp:locks:extra: wanted a list of strings, found 1 in it"),
        (
            {"zypper": {"lock_timeout": "300"}},
            "pillar klp:zypper:lock_timeout: wanted a whole number (seconds), found '300'",
        ),
        (
            {"zypper": {"lock_timeout": True}},
            "pillar klp:zypper:lock_timeout: wanted a whole number (seconds), found True",
        ),
        ({"transition": {"timeout": 0}}, "pillar klp:transition:timeout: wanted 1 to 86400 seconds, found 0"),
        (
            {"backup": {"backend": "none", "max_age": 8761}},
            "pillar klp:backup:max_age: wanted 1 to 8760 hours, found 8761",
        ),
        ({"level": 0}, "pillar klp:level: wanted latest, a number from 1 or an edition such as 3-150500.2.1, found 0"),
        (
            {"backup": {"backend": "zfs"}},
            "pillar klp:backup:backend: wanted one of '', auto, snapper, lvm, command, none, found 'zfs'",
        ),
        (
            {"tools": {"packages": []}},
            "pillar klp:tools: give packages or a pattern that brings the klp tool",
        ),
        (
            {"backup": {"backend": "snapper", "create": ["/bin/true"]}},
            "pillar klp:backup:create: means nothing without klp:backup:backend command",
        ),
        (
            {"backup": {"backend": "command", "create": ["/bin/true"]}},
            "pillar klp:backup:verify: has to be given with klp:backup:backend command",
        ),
        (
            {"backup": {"backend": "command", "create": ["make-backup"], "verify": ["/bin/true"]}},
            "pillar klp:backup:create: the program has to be an absolute path, found 'make-backup'",
        ),
        ([], "pillar klp: wanted a mapping of keys, found []"),
        ("on", "pillar klp: wanted a mapping of keys, found 'on'"),
    ],
)
def test_wrong_pillar_is_refused_with_its_key(sles, sls, klp, reason):
    one = sles("enabled", pillar={"klp": klp})
    refused(one, sls, {"klp-ready": reason})
    assert one.count("zypper") == 0


def test_all_that_is_wrong_is_named_at_once(sles):
    klp = {
        "nothing": 1,
        "run": "a b",
        "zypper": {"timeout": 3},
        "update": {"severities": ["bad"]},
        "verify": {"initrd": 1},
    }
    one = sles("enabled", pillar=settings(**klp))
    reasons = [
        f"pillar klp:nothing: unknown key; known here: {', '.join(sorted(SCHEMA))}",
        "pillar klp:run: 'a b' is not allowed, it has to match [A-Za-z0-9][A-Za-z0-9._:-]{0,127}",
        "pillar klp:update:severities: wanted one of critical, important, moderate, low, unspecified, found 'bad'",
        "pillar klp:zypper:timeout: wanted 60 to 86400 seconds, found 3",
        "pillar klp:verify:initrd: wanted true or false, found 1",
    ]
    refused(one, "klp.patch", {"klp-ready": "\n".join(reasons)})
    answer = one.salt_call("zypper.update")
    assert answer.rc != 0
    assert "; ".join(reasons) in answer.stderr


CALLS = [
    ("zypper.install", "names", True),
    ("zypper.dry_run", "names", True),
    ("zypper.remove", "names", True),
    ("zypper.add_locks", "names", True),
    ("zypper.remove_locks", "names", True),
    ("zypper.editions", "name", False),
    ("klp.install", "level", False),
    ("klp.enable", "level", False),
    ("klp.downgrade", "level", False),
    ("root_backup.verify", "backup", False),
    ("root_backup.delete", "backup", False),
    ("root_backup.losses", "backup", False),
    ("root_backup.restore", "backup", False),
    ("klp_audit.run_preview", "kind", False),
    ("klp_audit.health", "services", True),
]
TAILS = (f"{LP}=--root=/", f"{LP}=1;2", "pattern:-y")  # hostile where a name may have something behind it
HARMLESS = {"klp_audit.health": ("pattern:-y",)}
CALL_LOOP = """\
import json, sys
import salt.client, salt.config
from salt.exceptions import CommandExecutionError, SaltInvocationError
opts = salt.config.minion_config("/etc/salt/minion")
opts["file_client"] = "local"
caller = salt.client.Caller(mopts=opts)
answers = []
for fun, kwargs in json.load(sys.stdin):
    try:
        answers.append([True, caller.cmd(fun, **kwargs)])
    except (CommandExecutionError, SaltInvocationError) as exc:
        answers.append([False, str(exc)])
print(json.dumps(answers))
"""


@pytest.mark.parametrize("fun, argument, many", CALLS, ids=[call[0] for call in CALLS])
def test_hostile_arguments_are_refused_before_any_program_is_started(sles, fun, argument, many):
    one = sles("fresh" if fun == "klp.enable" else "enabled")
    one.salt.sync()
    if fun == "klp.enable":
        one.salt_call("zypper.add_locks", one.salt_call("klp.settings").data["locks"])
    before = snapshot(one)
    words = [word for word in (*HOSTILE.values(), "", *TAILS) if word not in HARMLESS.get(fun, ())]
    calls = [(fun, {argument: [word] if many else word}) for word in words]
    calls += [(fun, {argument: ["curl", word]}) for word in words if many]
    one.forget_programs()
    done = one.run([sys.executable, "-c", CALL_LOOP], input=json.dumps(calls))
    answers = json.loads(done.stdout.splitlines()[-1])
    assert [call for call, (well, _) in zip(calls, answers, strict=True) if well] == []
    for program in one.programs():
        for word in HOSTILE.values():
            assert word not in program.argv
    assert snapshot(one) == before
    assert not one.exists("/tmp/hit")


@pytest.mark.parametrize(
    "update, reason",
    [
        ({"exlude": ["x"]}, "pillar klp:update:exlude: unknown key; did you mean exclude?"),
        ({"reboot": "yes"}, "pillar klp:update:reboot: wanted true or false, found 'yes'"),
        ([], "pillar klp:update: wanted a mapping of keys, found []"),
    ],
)
def test_settings_given_to_an_update_are_checked_as_the_pillar_is(sles, update, reason):
    one = sles("enabled")
    one.salt.sync()
    one.forget_programs()
    for fun in ("zypper.pending", "zypper.update"):
        answer = one.salt_call(fun, update=update)
        assert reason in answer.stderr
        assert answer.rc != 0
    assert one.count("zypper") == 0


def test_settings_given_to_an_update_are_completed(sles):
    one = sles("enabled")
    assert one.zypper("al", *LOCKS).returncode == 0
    plan = one.salt_call("zypper.pending", update={"categories": ["security"], "others": False}).data
    assert list(plan["packages"]) == ["libz1"]
