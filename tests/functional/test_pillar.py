"""Pillars and arguments that are wrong or hostile: named, and refused before any program is started with them."""

import json
import sys

import pytest

from tests.functional.conftest import BACKUP, LOCKS, LP, VERIFY, apply, settings, snapshot, volumes
from tests.functional.refusal import refused
from tests.unit import form, uyuni
from tests.unit.hostile import HOSTILE, keys, pillar_with, values
from tests.unit.loader import load

SCHEMA = load("_utils", "klp_pillar").SCHEMA
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


def ready(one, pillars):
    """Return what ``klp.ready`` says against each pillar, in one process of Salt."""
    done = one.run([sys.executable, "-c", LOOP], input=json.dumps(pillars))
    return json.loads(done.stdout.splitlines()[-1])


def emptied(*paths):
    """Return the pillar of a host whose form of SUSE Manager was saved with these fields empty."""
    values = uyuni.shown(form.FORM)
    for path in paths:
        form.put(values, path, "")
    return uyuni.pillar(form.FORM, {}, uyuni.saved(form.FORM, values))["klp"]


def test_a_host_takes_the_form_of_suse_manager_untouched_and_emptied(sles):
    """The pillar goes through the rules of browser and server first (tests/unit/uyuni.py)."""
    fields = [path for path, part in form.LEAVES.items() if part["$type"] in ("text", "number", "password")]
    others = [path for path in fields if path not in form.NEEDED]
    one = sles("enabled", pillar={"klp": emptied()})
    one.salt.sync()
    *good, first, second, third = ready(one, [emptied(), emptied(*others), *(emptied(path) for path in form.NEEDED)])
    assert good == [[], []]
    for path, (comment,) in zip(form.NEEDED, (first, second, third), strict=True):
        assert comment.startswith(f"pillar {path}: is empty; wanted a whole number")
    assert apply(one, "klp", test=True).failed == {}


def test_hostile_strings_are_refused_before_any_program_is_started(sles):
    """Which strings each key refuses is shown by the unit tests of klp_pillar; here two that no key takes."""
    one = sles("enabled", pillar={})
    one.salt.sync()
    before = snapshot(one)
    words = [HOSTILE["newline"], HOSTILE["escape"]]
    pillars = [(path, pillar_with(path, value)) for path, spec in keys(SCHEMA) for value in values(spec, words)]
    one.forget_programs()
    answers = ready(one, [pillar for _, pillar in pillars])
    for (path, pillar), comments in zip(pillars, answers, strict=True):
        assert len(comments) == 1, pillar
        assert comments[0].startswith(f"pillar klp:{':'.join(path)}: "), pillar
        assert "\0" not in comments[0] and "\x1b" not in comments[0]
        assert len(comments[0]) < 300
    started = one.programs()
    assert [p for p in started if p.argv[0].rsplit("/", 1)[-1] in ("zypper", "klp", "SUSEConnect", "snapper")] == []
    # Salt itself starts programs for its grains; none of them is given anything of the pillar.
    assert [program for program in started if set(words) & set(program.argv)] == []
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


# Every mistake has its sentence, see the unit tests of klp_pillar: here some of each shape, before anything is started.
@pytest.mark.parametrize("sls", ["klp", "klp.patch"])
@pytest.mark.parametrize(
    "klp, reason",
    [
        ({"levl": 3}, "pillar klp:levl: unknown key; did you mean level?"),
        (
            {"backup": {"backend": "command", "create": ["make-backup"], "verify": ["/bin/true"]}},
            "pillar klp:backup:create: the program has to be an absolute path, found 'make-backup'",
        ),
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


@pytest.mark.parametrize("state", ["fresh", "enabled"])
def test_hostile_arguments_are_refused_before_any_program_is_started(sles, state):
    one = sles(state)
    one.salt.sync()
    if state == "fresh":
        one.salt_call("zypper.add_locks", one.salt_call("klp.settings").data["locks"])
    before = snapshot(one)
    calls = []
    for fun, argument, many in [call for call in CALLS if (call[0] == "klp.enable") == (state == "fresh")]:
        words = [word for word in (*HOSTILE.values(), "", *TAILS) if word not in HARMLESS.get(fun, ())]
        calls += [(fun, {argument: [word] if many else word}) for word in words]
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
