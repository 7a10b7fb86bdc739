"""What may come from a minion: values as Salt's own payload brings them to the master, and answers with faults."""

import copy
import json

import msgpack
import salt.payload
from hypothesis import strategies as st

from _runners.klp import planning, schema
from tests.simulation.world import SimHost, World, run_preview, state_summary
from tests.unit.loader import utils

TEXTS = [
    "",
    "\x00",
    "9" * 5000,
    "-1",
    "1e9",
    "2026-02-30",
    "\N{ARABIC-INDIC DIGIT TWO}" * 4,
    "\udcff",
    "=1+1",
    "</script>",
    "x" * 900_000,
]
NUMBERS = [-(2**63), -1, 0, 2**31, 2**53, 2**62, 2**63, 2**64 - 1]
# 78 and 79 are Salt's own types on the wire: a datetime, and a constant of its code.
TYPES = [
    msgpack.ExtType(78, b"99991231T23:59:59.000000"),
    msgpack.ExtType(79, msgpack.packb(["name", 1])),
    msgpack.ExtType(5, b"x"),
    msgpack.Timestamp(2**33, 5),
]
ODD = [None, True, False, *NUMBERS, 0.5, float("nan"), float("inf"), *TEXTS, b"\xff\xfe", *TYPES]
KEYS = [None, True, 7, 2**63, 0.5, "", "\udcff", b"\xff", "k" * 10_000]
LONGEST = 400  # characters of any text that is kept: 300 of a host, within a sentence


def deep(levels):
    """Return a value within so many lists; Salt's msgpack takes about 1,000."""
    value: list = []
    for _ in range(levels):
        value = [value]
    return value


NESTED = [[], {}, [[]], {"": {}}, [1, 1], deep(30), deep(500)]


def sent(value):
    """Return a value as the master has it: sent by a minion, which may be none of Salt, and read from its job cache."""
    packed = msgpack.packb(value, use_bin_type=True, unicode_errors="surrogateescape")
    got = salt.payload.loads(packed)
    return salt.payload.loads(salt.payload.dumps(got, use_bin_type=True), encoding="utf-8")


def paths(value, path=()):
    """Yield the way to every value within a value, and to itself."""
    yield path
    rows = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in rows:
        yield from paths(inner, (*path, key))


def changed(value, path, change):
    """Return a copy of a value in which the value at a path is what ``change`` makes of it."""
    if not path:
        return change(value)
    found = copy.copy(value)
    found[path[0]] = changed(found[path[0]], path[1:], change)
    return found


def faults(value, path):
    """Yield what may be wrong with the value at one place: it is something else, lacks a part or has one more."""
    for odd in ODD + NESTED:
        yield changed(value, path, lambda _, odd=odd: odd)
    at = value
    for key in path:
        at = at[key]
    if isinstance(at, dict):
        for key in at:
            yield changed(value, path, lambda old, key=key: {name: old[name] for name in old if name != key})
        for key in KEYS:
            yield changed(value, path, lambda old, key=key: {**old, key: next(iter(old.values()), "1-1")})
            yield changed(value, path, lambda old, key=key: {**old, key: "1-1"})
    if isinstance(at, list):
        yield changed(value, path, lambda old: old * 30_000)
        yield changed(value, path, lambda old: [*old, *old, None])


@st.composite
def wrong(draw, value):
    """Return a value with one to three faults."""
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from(list(paths(value))))
        if draw(st.booleans()):
            value = draw(st.sampled_from(list(faults(value, path))))
        else:
            odd = draw(ANYTHING)
            value = changed(value, path, lambda _, odd=odd: odd)
    return value


ANYTHING = st.recursive(
    st.sampled_from(ODD)
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | st.text(max_size=20)
    | st.binary(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)


def assert_kept(value):
    """Assert that a value can be kept for ever: JSON with keys of one type, and no text that is too long."""
    text = json.dumps(value, sort_keys=True, allow_nan=False)
    assert json.loads(text) == value
    assert max(map(len, texts(value)), default=0) <= LONGEST


def texts(value):
    """Yield all texts within a value, keys among them."""
    if isinstance(value, str):
        yield value
    for inner in [*value, *value.values()] if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from texts(inner)


SCALAR = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), st.binary(max_size=4), st.just("h1")
)
JSON = st.recursive(
    SCALAR,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=20,
)


@st.composite
def damaged(draw, document):
    """Return a document of which one part is missing, or is anything at all."""
    found = dict(document)
    key = draw(st.sampled_from(sorted(found)))
    if isinstance(found[key], dict) and draw(st.booleans()) and found[key]:
        found[key] = draw(damaged(found[key]))
    elif draw(st.booleans()):
        del found[key]
    else:
        found[key] = draw(JSON)
    return found


COMPARE = utils()["klp_pillar"].compare
WORLD = World([SimHost("h1")])
SUMMARY = state_summary(WORLD, WORLD.hosts["h1"])
PREVIEW = run_preview(WORLD, WORLD.hosts["h1"])


def planned(answer):
    """Return the plan for two hosts of which one, h1, answers this."""
    settings, problems = schema.settings({"waves": [{"name": "all"}]}, COMPARE)
    assert not problems
    facts = {
        "kind": "patch",
        "master": "m",
        "hosts": ["h1", "h2"],
        "answers": {"h1": answer, "h2": dict(PREVIEW, host="h2")},
        "asked": WORLD.time,
        "members": [None],
        "busy": {},
        "strange": {},
        "known": {},
        "quarantine": [],
    }
    return planning.make(facts, settings, WORLD.time + 1)
