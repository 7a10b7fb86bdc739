"""The shape of every state: read, compare, predict, act, look again."""

import contextlib

import pytest
from salt.exceptions import CommandExecutionError, SaltInvocationError

import klp_state


class Lamp:
    """Something with one reading."""

    def __init__(self, light="off", obeys=True, error=None):
        self.light, self.obeys, self.error, self.switched = light, obeys, error, 0
        self.seen = []

    def read(self):
        self.seen.append("read")
        return {"light": self.light, "size": 1}

    @contextlib.contextmanager
    def exclusive(self, what):
        """A lamp is its own host: nobody else may switch it meanwhile."""
        self.seen.append(f"locked for {what}")
        yield
        self.seen.append("unlocked")

    def switch(self, goal):
        self.seen.append(goal)
        self.switched += 1
        if self.obeys:
            self.light = "on"
        if self.error:
            raise self.error


def on(old):
    return dict(old, light="on")


def converge(lamp, test=False, **kwargs):
    return klp_state.converge("lamp", test, lamp, lamp.read, on, lamp.switch, **kwargs)


CHANGES = {"light": {"old": "off", "new": "on"}}


def test_nothing_is_done_where_all_is_as_declared():
    lamp = Lamp("on")
    for test in (True, False):
        ret = converge(lamp, test)
        assert ret == {"name": "lamp", "result": True, "changes": {}, "comment": "Already as declared"}
    assert lamp.switched == 0


def test_test_mode_predicts_and_changes_nothing():
    lamp = Lamp()
    ret = converge(lamp, test=True)
    assert ret == {"name": "lamp", "result": None, "changes": CHANGES, "comment": "Would change"}
    assert (lamp.light, lamp.switched) == ("off", 0)


def test_a_change_is_reported_as_seen_and_the_second_run_is_quiet():
    lamp = Lamp()
    ret = converge(lamp)
    assert ret == {"name": "lamp", "result": True, "changes": CHANGES, "comment": "Changed"}
    assert converge(lamp)["changes"] == {} and lamp.switched == 1


def test_the_change_is_the_one_that_was_predicted():
    """What is wanted is found out once and carried: asked again, the answer may be another one."""
    wanted = iter([{"light": "on", "size": 1}, {"light": "green", "size": 1}])
    lamp = Lamp()
    ret = klp_state.converge("lamp", False, lamp, lamp.read, lambda old: next(wanted), lamp.switch)
    assert ret["result"] is True and {"light": "on", "size": 1} in lamp.seen


def test_a_change_is_made_under_the_lock_of_the_host():
    lamp = Lamp()
    converge(lamp)
    assert lamp.seen == ["read", "locked for lamp", {"light": "on", "size": 1}, "unlocked", "read"]


@pytest.mark.parametrize(("light", "test"), [("on", False), ("on", True), ("off", True)])
def test_without_a_change_no_lock_is_taken(light, test):
    lamp = Lamp(light)
    converge(lamp, test)
    assert lamp.seen == ["read"]


def test_a_host_that_somebody_else_is_changing_is_left_alone():
    lamp = Lamp()

    def refused(what):
        raise CommandExecutionError("process 77 is changing this host")

    setattr(lamp, "exclusive", refused)  # noqa: B010 - mypy knows no method that is replaced
    ret = converge(lamp)
    assert (ret["result"], ret["changes"], ret["comment"]) == (False, {}, "process 77 is changing this host")
    assert lamp.switched == 0


def test_what_was_not_reached_is_false():
    ret = converge(Lamp(obeys=False))
    assert ret["result"] is False and ret["changes"] == {}
    assert ret["comment"] == "Wanted {'light': 'on', 'size': 1}, found {'light': 'off', 'size': 1}"


def test_a_state_has_its_own_words_for_what_was_not_reached():
    ret = converge(Lamp(obeys=False), missing=lambda new: f"still {new['light']}")
    assert ret["comment"] == "still off"


def test_a_state_decides_itself_what_is_done():
    assert converge(Lamp(obeys=False), done=lambda new: True)["result"] is True
    assert converge(Lamp(), done=lambda new: False)["result"] is False


@pytest.mark.parametrize(
    ("light", "test", "comment"),
    [
        ("on", False, "Already as declared: it is on\nnote"),
        ("off", False, "Changed: it is on\nnote"),
        ("off", True, "Would change\nnote"),
    ],
)
def test_clauses_and_notes_are_added(light, test, comment):
    ret = converge(Lamp(light), test, told=lambda now: f"it is {now['light']}", notes=lambda: ["note"])
    assert ret["comment"] == comment


def test_no_notes_add_nothing():
    assert converge(Lamp("on"), notes=list)["comment"] == "Already as declared"


@pytest.mark.parametrize("kind", [CommandExecutionError, SaltInvocationError])
def test_an_error_after_a_change_reports_the_change(kind):
    ret = converge(Lamp(error=kind("broke")))
    assert ret == {"name": "lamp", "result": False, "changes": CHANGES, "comment": "broke"}


def test_an_error_before_any_change_reports_none():
    ret = converge(Lamp(obeys=False, error=CommandExecutionError("refused")))
    assert (ret["result"], ret["changes"], ret["comment"]) == (False, {}, "refused")


def raising(*args):
    raise CommandExecutionError("cannot be read")


def test_what_cannot_be_read_is_not_changed():
    lamp = Lamp()
    ret = klp_state.converge("lamp", False, lamp, raising, on, lamp.switch)
    assert ret == {"name": "lamp", "result": False, "changes": {}, "comment": "cannot be read"}
    assert lamp.switched == 0


def test_an_error_in_test_mode_reads_only_once():
    readings = iter([{"light": "off"}])
    ret = klp_state.converge("lamp", True, Lamp(), lambda: next(readings), raising, raising)
    assert (ret["result"], ret["changes"], list(readings)) == (False, {}, [])


def test_an_error_that_also_hides_the_reading_reports_no_changes():
    answers = [{"light": "off"}, CommandExecutionError("gone")]

    def read():
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    ret = klp_state.converge("lamp", False, Lamp(), read, on, raising)
    assert (ret["comment"], ret["changes"]) == ("cannot be read", {})


def test_a_bug_shows_its_traceback():
    with pytest.raises(ZeroDivisionError):
        converge(Lamp(error=ZeroDivisionError()))


@pytest.mark.parametrize(
    ("old", "new", "changes"),
    [
        ({}, {}, {}),
        ({"a": 1, "b": 2}, {"a": 1, "c": 3}, {"b": {"old": 2, "new": None}, "c": {"old": None, "new": 3}}),
        ([1], [1], {}),
        ([1], [2], {"old": [1], "new": [2]}),
        (None, {"a": 1}, {"old": None, "new": {"a": 1}}),
    ],
)
def test_differences_are_what_salt_shows(old, new, changes):
    assert klp_state.difference(old, new) == changes
