"""
The form of foreign data, declared as data: what a value may be, before anything else looks at it. Pure functions.

A form has ``take(value)``, which returns the value as it may be kept (declared keys only, sentences as one printable
line) or raises ShapeError: one bounded sentence that begins with the path of the value. It recurses as deep as the form
is, not as deep as the value. ``json()`` is the same form as JSON Schema (draft 2020-12), ``says(text)`` describes it
there.
"""

from __future__ import annotations

import copy
import re
import sys

from .words import count

TEXT = 300  # characters of a foreign sentence that are kept
SHOWN = 60  # characters of a wrong value, or of a foreign key, that a message shows
LINES = 200  # sentences of one list that are kept
MOST = 1000000  # values and characters in one answer; a host that gets 5000 packages says about 500000
TOO_LARGE = f"it is too large (more than {MOST} characters)"
DEPTH = 40  # values within values
LATEST = 253402300799  # seconds since 1970 until the end of the year 9999, the last one that a calendar has


class ShapeError(ValueError):
    """A value that does not have its form; ``path`` is where, from the outside to the inside."""

    def __init__(self, why, *path):
        super().__init__(why)
        self.why, self.path = why, list(path)

    def within(self, *path):
        """Return the same error, as seen from a value around it."""
        self.path[:0] = path
        return self

    def __str__(self):
        return ": ".join([":".join(map(shown, self.path)), self.why] if self.path else [self.why])


def text(value, most=TEXT):
    """Return a foreign text as it may be shown and kept: one line, printable, of bounded length."""
    if isinstance(value, str) and len(value) <= most and value.isprintable() and " ".join(value.split()) == value:
        return value
    line = "".join(char if char.isprintable() else " " for char in str(value)[: 4 * most])
    line = " ".join(line.split())
    return line if len(line) <= most else line[: most - 3] + "..."


def shown(value):
    """Return a wrong value as a message shows it, short, whatever it is."""
    if isinstance(value, str):
        plain = value and text(value[: 2 * SHOWN]) == value[: 2 * SHOWN]
        return text(value if plain else repr(value[: 2 * SHOWN]), SHOWN)
    if isinstance(value, dict):
        return f"a mapping of {count(len(value), 'key')}"
    if isinstance(value, (list, set)):
        return f"a list of {count(len(value), 'value')}"
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() > 64:
        return "a number of more than 64 bits"
    plain = isinstance(value, (bool, int, float, type(None)))
    return str(value) if plain else f"a value of type {type(value).__name__}"


def _parts(value):
    """Return the size of a value, and the values within it."""
    if isinstance(value, (str, bytes)):
        return 1 + len(value), ()
    if isinstance(value, dict):
        return 1 + len(value), (value, value.values())
    if isinstance(value, (list, tuple, set)):
        return 1 + len(value), (value,)
    # Salt's wire has no larger numbers.
    return (MOST + 1 if isinstance(value, int) and not -(2**63) <= value < 2**64 else 1), ()


def bounded(value):
    """Return a value, or raise ShapeError if it is larger or deeper than any honest one; never recurses."""
    level, left = [value], MOST
    for _ in range(DEPTH):
        inside: list = []
        for item in level:
            if type(item) is str:  # nearly all of them are
                left -= 1 + len(item)
            else:
                size, parts = _parts(item)
                left -= size
                for part in parts:
                    inside.extend(part)
            if left < 0:
                raise ShapeError(TOO_LARGE)
        if not inside:
            return value
        level = inside
    raise ShapeError(f"it is nested too deeply (more than {DEPTH} levels)")


class Form:
    """What a value may be; the base of all forms."""

    about = wanted = ""

    def says(self, about):
        """Return the same form with a description."""
        found = copy.copy(self)
        found.about = about
        return found

    def take(self, value):
        """Return a value as it may be kept. Raises ShapeError."""
        return value

    def wrong(self, value):
        """Raise what is wrong with a value that has not this form."""
        raise ShapeError(f"wanted {self.wanted}, found {shown(value)}")

    def json(self):
        """Return the form as JSON Schema."""
        return {**self._json(), **({"description": self.about} if self.about else {})}

    def _json(self) -> dict:
        return {}


def _error(form, value):
    """Return what is wrong with a value, or ``None``."""
    try:
        form.take(value)
    except ShapeError as exc:
        return exc
    return None


class Whole(Form):
    """A whole number from ``least`` to ``most``; true and false are none."""

    def __init__(self, least, most):
        self.least, self.most = least, most
        self.wanted = f"a whole number from {least} to {most}"

    def take(self, value):
        if isinstance(value, int) and not isinstance(value, bool) and self.least <= value <= self.most:
            return value
        return self.wrong(value)

    def _json(self):
        return {"type": "integer", "minimum": self.least, "maximum": self.most}


class Flag(Form):
    """True or false."""

    wanted = "true or false"

    def take(self, value):
        return value if isinstance(value, bool) else self.wrong(value)

    def _json(self):
        return {"type": "boolean"}


class Line(Form):
    """A sentence: any text, kept as one printable line of at most ``kept`` characters."""

    wanted = "a text"

    def __init__(self, kept=TEXT):
        self.kept = kept

    def take(self, value):
        return sys.intern(str(text(value, self.kept))) if isinstance(value, str) else self.wrong(value)

    def _json(self):
        return {"type": "string"}


class Word(Form):
    """
    A text that stays as it is, as names and editions do; ``wanted`` says what is meant.

    pattern
        regular expression of the whole text, one that JSON Schema has as well.
    """

    def __init__(self, pattern, wanted, **more):
        self.pattern, self.wanted, self.more = pattern, wanted, more
        self.match = re.compile(f"(?:{pattern})\\Z", re.ASCII).match

    def take(self, value):
        if type(value) is str and self.match(value):
            return sys.intern(value)
        return self.take(str(value)) if isinstance(value, str) and type(value) is not str else self.wrong(value)

    def _json(self):
        # In Python a dollar sign also stands before a line feed at the end.
        return {"type": "string", "pattern": f"^(?:{self.pattern})$(?!\\n)", **self.more}


class Choice(Form):
    """One of some words."""

    def __init__(self, *words):
        self.words, self.wanted = {word: word for word in words}, f"one of {', '.join(words)}"

    def take(self, value):
        return self.words[value] if isinstance(value, str) and value in self.words else self.wrong(value)

    def _json(self):
        return {"enum": list(self.words)}


class Const(Form):
    """This one value."""

    def __init__(self, value):
        self.value, self.wanted = value, shown(value)

    def take(self, value):
        return value if type(value) is type(self.value) and value == self.value else self.wrong(value)

    def _json(self):
        return {"const": self.value}


class Maybe(Form):
    """A value of a form, or null: not known, or there is none."""

    def __init__(self, form):
        self.form, self.about = form, form.about

    def take(self, value):
        return None if value is None else self.form.take(value)

    def _json(self):
        inner = self.form._json()
        if "enum" in inner:
            return {"enum": [*inner["enum"], None]}
        return {**inner, "type": [inner["type"], "null"]}


class Each(Form):
    """A list of values of one form, ``most`` at the most, of which the first ``kept`` are kept."""

    def __init__(self, form, most, kept=None, unique=False):
        self.form, self.most, self.kept, self.unique = form, most, kept or most, unique
        self.wanted = f"a list of at most {count(most, 'value')}"

    def take(self, value):
        if not isinstance(value, list) or len(value) > self.most:
            self.wrong(value)
        take = self.form.take
        try:
            found = [take(item) for item in value]
        except ShapeError:
            raise self._blamed(value) from None
        if self.unique and len(set(found)) < len(found):
            raise ShapeError("wanted each value once")
        return found[: self.kept]

    def _blamed(self, value):
        """Return the error of the first value that is wrong; it is numbered from 1 on."""
        wrong = ((number, _error(self.form, item)) for number, item in enumerate(value, 1))
        number, exc = next((number, exc) for number, exc in wrong if exc)
        return exc.within(str(number))

    def _json(self):
        unique = {"uniqueItems": True} if self.unique else {}
        return {"type": "array", "items": self.form.json(), "maxItems": self.most, **unique}


class Pairs(Form):
    """A mapping with keys of one form, which stay as they are, and values of another one."""

    def __init__(self, key, value, most):
        self.key, self.value, self.most = key, value, most
        self.wanted = f"a mapping of at most {count(most, 'key')}"

    def take(self, value):
        if not isinstance(value, dict) or len(value) > self.most:
            self.wrong(value)
        key, inner = self.key.take, self.value.take
        try:
            return {key(name): inner(item) for name, item in value.items()}
        except ShapeError:
            raise self._blamed(value) from None

    def _blamed(self, value):
        key = next(filter(None, (_error(self.key, name) for name in value)), None)
        if key:
            return ShapeError(f"a key: {key}")
        wrong = ((name, _error(self.value, item)) for name, item in value.items())
        name, exc = next((name, exc) for name, exc in wrong if exc)
        return exc.within(name)

    def _json(self):
        names, values = self.key.json(), self.value.json()
        return {"type": "object", "propertyNames": names, "additionalProperties": values, "maxProperties": self.most}


class Record(Form):
    """
    A mapping with certain keys.

    forms
        ``{key: its form}``.
    absent
        ``{key: value}`` for those that may be missing.
    closed
        whether it may have no other keys; else these are left away.
    """

    wanted = "a mapping of certain keys"

    def __init__(self, forms, absent=None, closed=False):
        self.forms, self.absent, self.closed = forms, absent or {}, closed
        self.takes = [(key, form.take) for key, form in forms.items()]

    def take(self, value):
        if not isinstance(value, dict):
            self.wrong(value)
        found = {}
        for key, take in self.takes:
            if key not in value:
                found[key] = self._missing(key)
                continue
            try:
                found[key] = take(value[key])
            except ShapeError as exc:
                raise exc.within(key) from None
        if self.closed:
            for key in value:
                if key not in self.forms:
                    raise ShapeError(f"unknown key {shown(key)}")
        return found

    def _missing(self, key):
        if key not in self.absent:
            raise ShapeError("it is missing", key)
        return copy.deepcopy(self.absent[key])

    def _json(self):
        more = {"additionalProperties": False} if self.closed else {}
        required = [key for key in self.forms if key not in self.absent]
        forms = {key: form.json() for key, form in self.forms.items()}
        return {"type": "object", **more, "required": required, "properties": forms}


class Plain(Form):
    """Anything that JSON can hold, checked elsewhere."""


MOMENT = Whole(0, LATEST)
NAME = Word(r"[A-Za-z0-9_][A-Za-z0-9._+~^:/-]{0,255}", "a name or an edition")
SENTENCE = Line()
SENTENCES = Each(SENTENCE, 20000, kept=LINES)
