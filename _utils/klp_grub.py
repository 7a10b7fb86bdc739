"""
GRUB's configuration, read as far as it tells which entry starts next; what it does not tell is ``None``.

Pure functions: text in, plain data out; what GRUB itself would not read raises ValueError. Scripts are followed, not
run: variables come from the environment block and from ``set``, a test of something else is neither true nor false.

Sources: the manual of GRUB 2 (shell-like scripting, default, environment block), GRUB's normal/menu.c, grub2-mkconfig.
"""

import re

from klp_words import count

LIMIT = 4 << 20  # characters of a configuration
DEPTH = 32  # nested blocks
LENGTH = 1000  # characters of a value
LOADS = 16  # times that the environment block is read
SIGNATURE = "# GRUB Environment Block\n"
VARIABLE = re.compile(r"([^=#\s][^=\n]*)=([^\\\n]*(?:\\.[^\\\n]*)*)(?:\n|\Z)", re.DOTALL)
NAME = r"\$(?:\{([A-Za-z0-9_?*#@]+)\}|([A-Za-z_][A-Za-z0-9_]*|[0-9?*#@]))"
BLANK = re.compile(r"(?:[ \t\r]+|\\\n)+")
PIECE = re.compile(
    r"([^{}|&$;<> \t\r\n'\"\\]+)|'([^']*)'|\$?\"([^\"\\]*(?:\\.[^\"\\]*)*)\"|\\(.)|" + NAME + r"|(\$)", re.DOTALL
)
INSIDE = re.compile(r"([^\\$]+)|\\([\\\"$])|(\\\n)|" + NAME + r"|([\\$])")
ASSIGNMENT = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=(.*)\Z", re.DOTALL)
ENTRIES = ("menuentry", "submenu", "hiddenentry")
VALUED = ("--class", "--users", "--hotkey", "--source", "--id")
LINUX = ("linux", "linuxefi", "linux16")
INITRD = ("initrd", "initrdefi", "initrd16")
OTHERS = ("chainloader", "multiboot", "multiboot2", "xen_hypervisor", "exit", "halt", "reboot", "fwsetup")
ELSEWHERE = ("source", ".", "configfile", "normal", "eval", "blscfg", "extract_entries_source")
KNOWN = ("custom.cfg", "grub-snapshot.cfg")  # files that the caller puts behind the configuration if they are there
# What is empty unless somebody sets it; GRUB itself, or what starts it, may set any other variable.
EMPTY = ("default", "next_entry", "saved_entry", "prev_saved_entry", "env_block", "boot_once", "extra_cmdline")


def environment(text, listed=False):
    """
    Read an environment block (``grubenv``): ``{name: value}``.

    listed
        the text is what ``grub2-editenv list`` prints, which has no signature.
    """
    if not listed and not text.startswith(SIGNATURE):
        raise ValueError(f"grubenv: wanted {SIGNATURE.strip()!r} in front, found {text[:60]!r}")
    found, place = {}, 0 if listed else len(SIGNATURE)
    while place < len(text):
        match = VARIABLE.match(text, place)
        if match:
            found[match.group(1)] = re.sub(r"\\(.)", r"\1", match.group(2), flags=re.DOTALL)
        elif text[place] not in "#\n":
            raise ValueError(f"grubenv: unknown line {text[place : place + 120]!r}")
        end = match.end() if match else text.find("\n", place) + 1
        place = end or len(text)
    return found


def entries(cfg):
    """
    Return the menu of a ``grub.cfg`` whose environment block is empty, as a list in its order.

    cfg
        its text, and behind it the text of those of the files KNOWN that it reads and that are there.

    Each is ``{"title", "id", "kind" (menuentry, submenu or hiddenentry), "sure" (bool: it is certainly in the menu),
    "linux" (path of the kernel), "initrd" (list of paths), "flags" (rootflags of the kernel), "entries" (of a
    submenu)}``; what is not known, as of an entry that starts something else, is ``None``.
    """
    return _Script(cfg, {}).top


def default(cfg, env):
    """
    Return which entry starts next: ``{"entry" (as entries has it, or None), "wanted", "by", "notes" (sentences)}``.

    cfg, env
        as for ``entries``; variables of the environment block.

    ``wanted`` is the value of GRUB's variable ``default``, ``by`` what it comes from: ``next_entry`` (for one start),
    ``saved_entry`` or ``grub.cfg``. Without an entry the last note says why none is known.
    """
    script = _Script(cfg, env)
    wanted = script.value("default")
    names = [name for name in ("next_entry", "saved_entry") if wanted and env.get(name) == wanted]
    answer = {"entry": None, "wanted": wanted, "by": (names or ["grub.cfg"])[0], "notes": []}
    if script.elsewhere:
        answer["notes"] = [f"grub.cfg takes entries from elsewhere ({script.elsewhere})"]
    elif wanted is None:
        answer["notes"] = ["which entry grub.cfg makes the default depends on what only GRUB knows"]
    else:
        answer["entry"], answer["notes"] = _follow(script.top, wanted)
    return answer


def _follow(menu, wanted):
    """Go down through submenus, which GRUB opens by itself and where no more names means the first entry."""
    notes, rest = [], wanted
    while True:
        head, rest = _split(rest)
        entry, note = _pick(menu, head)
        notes += [note] if note else []
        if entry is None or entry["kind"] != "submenu":
            return entry, notes
        menu = entry["entries"]


def _split(wanted):
    """Split ``A>B`` at the first ``>``; two of them are one that belongs to the name."""
    head = re.findall(r"\A(?:[^>]|>>)*", wanted)[0]
    return head.replace(">>", ">"), wanted[len(head) + 1 :]


def _pick(menu, name):
    """Return the entry that GRUB takes for one name, and a note; no entry where that is not certain."""
    if not menu:
        return None, "the menu of GRUB has no entry there"
    if name.lstrip()[:1].isdigit():
        return _numbered(menu, name)
    for item in menu:
        if name and name in (item["title"], item["id"]):
            return (item, None) if item["sure"] else (None, f"entry {name!r} is there under a condition only")
        if name and None in (item["title"], item["id"]):
            return None, f"entry {name!r} may be one whose name only GRUB knows"
    note = f"no entry is called {name!r}, GRUB takes the first one" if name else None
    return (menu[0], note) if menu[0]["sure"] else (None, "the first entry is there under a condition only")


def _numbered(menu, name):
    if not re.match(r"(0|[1-9][0-9]{0,6})\Z", name):
        return None, f"entry {name!r} begins with a digit, which not every GRUB takes for a title"
    number, more = int(name), any(item["title"] is None for item in menu)
    needed = menu[: number + 1] if number < len(menu) or more else menu[:1]
    if not all(item["sure"] for item in needed):
        return None, f"entry number {name} depends on entries that are there under a condition only"
    if number < len(menu):
        return menu[number], None
    return menu[0], f"there is no entry number {name}, GRUB takes the first one"


def _both(one, two):
    """Return whether both hold; ``None`` is "not known"."""
    return False if False in (one, two) else None if None in (one, two) else True


def _not(one):
    return None if one is None else not one


def _tokens(text):
    """Yield ``(kind, word)``: ``word`` with its pieces, ``{``, ``}`` and ``end`` of a command."""
    place, size = 0, len(text)
    while place < size:
        blank = BLANK.match(text, place)
        place = blank.end() if blank else place
        if text[place : place + 1] == "#":
            end = text.find("\n", place)
            place = size if end < 0 else end
        elif text[place : place + 1] in ("\n", ";"):
            yield "end", None
            place += 1
        elif text[place : place + 1] in ("{", "}"):
            yield text[place], None
            place += 1
        elif place < size:
            word, place = _word(text, place)
            yield "word", word
    yield "end", None


def _word(text, place):
    """Return the pieces of one word, ``(kind, text)`` with the kinds plain, quoted and name, and where it ends."""
    pieces, start = [], place
    match = PIECE.match(text, place)
    while match:
        plain, single, double, escaped, long, short, dollar = match.groups()
        if double is not None:
            pieces += _inside(double)
        elif long or short:
            pieces.append(("name", long or short))
        elif single is not None or escaped:
            pieces.append(("quoted", single if escaped is None else escaped.replace("\n", "")))
        else:
            pieces.append(("plain", plain or dollar))
        place = match.end()
        match = PIECE.match(text, place)
    if place == start:
        line = text.count("\n", 0, place) + 1
        raise ValueError(f"grub.cfg: line {line}: cannot be read: {text[place : place + 60]!r}")
    return pieces, place


def _inside(text):
    """Return the pieces of what stands between double quotes."""
    found = [("quoted", "")]
    for match in INSIDE.finditer(text):
        plain, escaped, _, long, short, other = match.groups()
        found.append(("name", long or short) if long or short else ("quoted", plain or escaped or other or ""))
    return found


def _bare(word):
    """Return a word without quotes and variables, else ``None``: only such a one has a meaning to the language."""
    return word[0][1] if len(word) == 1 and word[0][0] == "plain" else None


class _Script:
    """One pass over a configuration: ``top`` is its menu, ``value`` has the variables at its end."""

    def __init__(self, cfg, env):
        if len(cfg) > LIMIT:
            raise ValueError(f"grub.cfg: {count(len(cfg), 'character')}, at most {LIMIT} are read")
        self.top, self.elsewhere, self.env, self.loads, self.set = [], None, env, 0, {}
        self.blocks, self.words = [], []
        for kind, word in _tokens(cfg):
            if kind == "word":
                if self.words or not self._reserved(_bare(word)):
                    self.words.append(word)
            else:
                self._end(kind)
        if self.blocks:
            raise ValueError(f"grub.cfg: {self.blocks[-1]['kind']} has no end")

    def _live(self):
        return self.blocks[-1]["live"] if self.blocks else True

    def _end(self, kind):
        """A command ends, or a block begins or ends with a brace."""
        if kind == "{":
            self._begin()
        else:
            self._command()
        self.words = []
        if kind == "}":
            self._pop("block")

    def _push(self, kind, live, **more):
        if len(self.blocks) >= DEPTH:
            raise ValueError(f"grub.cfg: more than {DEPTH} nested blocks")
        self.blocks.append(dict(more, kind=kind, live=live))

    def _pop(self, kind):
        if not self.blocks or self.blocks[-1]["kind"] != kind:
            raise ValueError(f"grub.cfg: the end of a {kind} that was not begun")
        self.blocks.pop()

    def _branch(self, test):
        """Go to the next branch of an ``if``; ``rest``: none of those before was taken."""
        block = self.blocks[-1] if self.blocks else {"kind": None}
        if block["kind"] != "if":
            raise ValueError("grub.cfg: then, elif or else without if")
        block.update(live=_both(block["rest"], test), rest=_both(block["rest"], _not(test)), test=None)

    def _reserved(self, word):
        """Take a word of the language at the begin of a command; return whether it is one."""
        if word == "if":
            self._push("if", self._live(), rest=self._live(), test=None)
        elif word in ("while", "until", "for"):
            self._push("loop", _both(self._live(), None))
        elif word == "then":
            self._branch(self.blocks[-1].get("test") if self.blocks else None)
        elif word in ("elif", "else"):
            self._branch(True)
            if word == "elif":
                self.blocks[-1]["rest"] = self.blocks[-1]["live"]
        elif word in ("fi", "done"):
            self._pop("if" if word == "fi" else "loop")
        return word in ("if", "then", "elif", "else", "fi", "while", "until", "for", "do", "done")

    def _inner(self):
        """Return the block of the innermost entry, or ``None``."""
        return next((block for block in reversed(self.blocks) if "entry" in block), None)

    def _begin(self):
        kind, live = _bare(self.words[0]) if self.words else None, self._live()
        outer = (self._inner() or {"entry": None})["entry"]
        if kind not in ENTRIES:
            self._push("block", _both(live, None))
            return
        if outer and outer["kind"] != "submenu":
            raise ValueError(f"grub.cfg: a {kind} within a {outer['kind']}")
        entry = self._entry(kind, live is True and kind != "hiddenentry", *self._names())
        if live is not False:
            (outer["entries"] if outer else self.top).append(entry)
        self._push("block", live, entry=entry, seen=set())

    @staticmethod
    def _entry(kind, sure, title=None, name=None):
        entry = {"title": title, "id": name, "kind": kind, "sure": sure}
        return dict(entry, linux=None, initrd=[], flags=None, entries=[])

    def _names(self):
        """Return title and id of the entry that begins."""
        titles, names, option = [], [], None
        for word in self.words[1:]:
            text = "--id" if word == [("name", "menuentry_id_option")] else self._text(word)
            if option:
                names += [text] if option == "--id" else []
                option = None
            elif text in VALUED:
                option = text
            elif text is not None and text.startswith("--id="):
                names.append(text[5:])
            elif text is None or not text.startswith("--"):
                titles.append(text)
        return (titles or [None])[0], (names or titles or [None])[0]

    def value(self, name):
        """Return the value of a variable, ``None`` where only GRUB knows it."""
        return self.set.get(name, "" if name in EMPTY else None)

    def _text(self, word):
        """Return what a word stands for, ``None`` where that is not known."""
        found = [self.value(text) if kind == "name" else text for kind, text in word]
        if None in found or sum(map(len, found)) > LENGTH:
            return None
        return "".join(found)

    def _command(self):
        if not self.words:
            return
        name, live, inner = self._text(self.words[0]), self._live(), self._inner()
        if self.blocks and "test" in self.blocks[-1]:
            self.blocks[-1]["test"] = self._test(self.words)
        if inner and live is not False:
            self._load(inner, name, live)
        elif live is not False:
            self._run(name, live)

    def _run(self, name, live):
        """Follow a command outside of the entries."""
        words = self.words[1:] if name in ("set", "export") else self.words
        match = ASSIGNMENT.match(words[0][0][1]) if words and words[0][0][0] == "plain" else None
        if match:
            self._assign(match.group(1), self._text([("quoted", match.group(2))] + words[0][1:]), live)
        elif name == "load_env":
            self._load_env()
        elif name == "unset":
            for word in self.words[1:]:
                self._assign(self._text(word), "", live)
        elif name is None or (name in ELSEWHERE and not self.words[-1][-1][1].endswith(KNOWN)):
            self.elsewhere = name or "a command that only GRUB knows"

    def _load_env(self):
        self.loads += 1
        if self.loads > LOADS:
            raise ValueError(f"grub.cfg: the environment block is read more than {LOADS} times")
        for name in self.env:
            self._assign(name, self.env[name], True)

    def _assign(self, name, text, live):
        """Set a variable; if it is not known whether that happens, its value is known only if it stays the same."""
        self.set[name] = text if live or self.value(name) == text else None

    def _load(self, block, name, live):
        """Note what an entry starts; two kernels, or one that may not be started, are nothing that is known."""
        entry, texts = block["entry"], [self._text(word) for word in self.words[1:]]
        if name in ELSEWHERE:
            entry["entries"].append(self._entry("menuentry", False))
        if name in LINUX + OTHERS + ELSEWHERE or name is None:
            block["seen"].add(texts[0] if live and texts and name in LINUX else None)
            entry["linux"] = list(block["seen"])[0] if len(block["seen"]) == 1 else None
            flags = [text for text in texts if text and text.startswith("rootflags=")]
            entry["flags"] = flags[-1] if flags else entry["flags"]
        elif name in INITRD:
            entry["initrd"] += texts

    def _test(self, words):
        """Return what a condition comes to: of ``[ ]`` and ``test`` the common forms."""
        if _bare(words[0]) == "!":
            return _not(self._test(words[1:])) if words[1:] else None
        texts = [None if len(word) == 1 and word[0][0] == "name" else self._text(word) for word in words]
        inner = texts[1:-1] if texts[0] == "[" and texts[-1] == "]" else texts[1:] if texts[0] == "test" else [None]
        if None in inner:
            return None
        if len(inner) == 3 and inner[1] in ("=", "==", "!="):
            return (inner[0] == inner[2]) == (inner[1] != "!=")
        if len(inner) == 2 and inner[0] in ("-n", "-z"):
            return bool(inner[1]) == (inner[0] == "-n")
        return bool(inner[0]) if len(inner) == 1 else None
