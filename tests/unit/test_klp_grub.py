"""Which entry GRUB starts next, by its own rules, and nothing where only GRUB knows."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

import klp_grub as grub
from tests.unit.loader import recorded

CFG, SNAPSHOTS, BLOCK = recorded("boot/grub.cfg"), recorded("boot/grub-snapshot.cfg"), recorded("boot/grubenv")
TITLE, ADVANCED = "SLES 15-SP5", "Advanced options for SLES 15-SP5"
OLD, NEW = "5.14.21-150500.55.7-default", "5.14.21-150500.55.12-default"
OLD_TITLE, NEW_TITLE = f"{TITLE}, with Linux {OLD}", f"{TITLE}, with Linux {NEW}"


def title(cfg, **env):
    """Return the title of the entry that starts next, and the notes."""
    found = grub.default(cfg, env)
    return found["entry"] and found["entry"]["title"], found["notes"]


def menu(*titles, default="${saved_entry}"):
    entries = "".join(f"menuentry '{name}' {{\n linux '/boot/vmlinuz-{name}'\n}}\n" for name in titles)
    return f'load_env\nset default="{default}"\n{entries}'


# -- the environment block ---------------------------------------------------------------------------------------------


def test_the_environment_block():
    assert grub.environment(BLOCK) == {"saved_entry": TITLE}
    assert grub.environment(f"{grub.SIGNATURE}\na=b=c\nempty=\nslash=a\\\\b\\\nc\n####") == {
        "a": "b=c",
        "empty": "",
        "slash": "a\\b\nc",
    }
    assert grub.environment(f"{grub.SIGNATURE}# no end") == {}
    assert grub.environment("a=1\nenv_block=512+1\na=2\n", listed=True) == {"a": "2", "env_block": "512+1"}


@pytest.mark.parametrize(
    ("text", "said"),
    [("a=1\n", "wanted '# GRUB Environment Block'"), (f"{grub.SIGNATURE}x\n", "unknown line 'x.n'")],
)
def test_another_block_is_an_error(text, said):
    with pytest.raises(ValueError, match=said):
        grub.environment(text)


# -- the menu ----------------------------------------------------------------------------------------------------------


def test_the_menu_of_sles():
    found = grub.entries(CFG + SNAPSHOTS)
    assert [(item["kind"], item["title"], item["sure"]) for item in found] == [
        ("menuentry", TITLE, True),
        ("submenu", ADVANCED, True),
        ("menuentry", "Other system (on /dev/sdb1)", True),
        ("hiddenentry", "Text mode", False),
        ("submenu", "Start bootloader from a read-only snapshot", True),
    ]
    first, inner = found[0], found[1]["entries"]
    assert (first["id"], first["linux"]) == ("gnulinux-simple-0b1c", f"/boot/vmlinuz-{NEW}")
    assert first["initrd"] == [f"/boot/initrd-{NEW}"] and first["flags"] is None
    assert [item["title"] for item in inner] == [NEW_TITLE, OLD_TITLE]
    assert inner[1]["id"] == f"gnulinux-{OLD}-advanced-0b1c"
    assert found[2]["linux"] is None
    assert [(item["title"], item["sure"]) for item in found[4]["entries"]] == [(None, False)]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ('menuentry "a \\"b\\" \\x $e" { }', 'a "b" \\x '),
        ("menuentry a\\ b'c'$\"d\"\\\ne { }", "a bc" + "de"),
        ("menuentry --unrestricted --users '' --class x 'it'\\''s' --id y { }", "it's"),
        ("menuentry --id=y a { }", "a"),
        ("menuentry 'a' $more --class $b { }", "a"),
        ("menuentry $a 'b' { }", None),
        ('menuentry "${a}b" { }', None),
        ("menuentry { }", None),
        ("menuentry 'a\\\nb' { }", "a\\\nb"),
        ('menuentry "a\\\nb $" { }', "ab $"),
        ("menuentry 5$ { }", "5$"),
        (f"menuentry {'x' * 1001} {{ }}", None),
    ],
)
def test_titles_and_quotes(text, wanted):
    found = grub.entries(text.replace("$e", "${next_entry}"))
    assert [item["title"] for item in found] == [wanted]
    assert found[0]["id"] == ("y" if "--id" in text else wanted)


@pytest.mark.parametrize(
    ("body", "linux"),
    [
        ("linux /a quiet", "/a"),
        ("linuxefi /a", "/a"),
        ("linux16 (hd0,1)/a; echo x", "(hd0,1)/a"),
        ("linux /a; linux /a", "/a"),
        ("linux /a; linux /b", None),
        ("linux", None),
        ("linux $a", None),
        ("$linux /a", None),
        ("", None),
        ("linux /a; chainloader +1", None),
        ("configfile /a", None),
        ("multiboot /xen; module /a", None),
        ("if [ x ]; then linux /a; else linux /b; fi", "/a"),
        ("if [ $a ]; then linux /a; else linux /b; fi", None),
        ("if [ $a ]; then linux /a; fi", None),
    ],
)
def test_the_kernel_of_an_entry(body, linux):
    assert grub.entries(f"menuentry a {{\n{body}\n}}")[0]["linux"] == linux


def test_initrds_and_flags_of_the_root():
    body = "linux /a root=x rootflags=subvol=@/b rootflags=ro $c; initrd /u $v /i"
    found = grub.entries(f"menuentry a {{ {body}; initrdefi /j; }}")[0]
    assert (found["flags"], found["initrd"]) == ("rootflags=ro", ["/u", None, "/i", "/j"])


# -- what is the default -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("env", "linux", "by"),
    [
        ({"saved_entry": TITLE}, NEW, "saved_entry"),
        ({}, NEW, "grub.cfg"),
        ({"saved_entry": "0"}, NEW, "saved_entry"),
        ({"saved_entry": "1>1"}, OLD, "saved_entry"),
        ({"saved_entry": f"{ADVANCED}>{OLD_TITLE}"}, OLD, "saved_entry"),
        ({"saved_entry": f"gnulinux-advanced-0b1c>gnulinux-{OLD}-advanced-0b1c"}, OLD, "saved_entry"),
        ({"saved_entry": "gnulinux-advanced-0b1c"}, NEW, "saved_entry"),
        ({"saved_entry": TITLE, "next_entry": "1>1"}, OLD, "next_entry"),
        ({"saved_entry": "1>1", "next_entry": ""}, OLD, "saved_entry"),
        ({"saved_entry": "1>1", "prev_saved_entry": "0"}, OLD, "saved_entry"),
        ({"saved_entry": "1>1", "env_block": "512+1"}, OLD, "saved_entry"),
    ],
)
def test_the_default_of_sles(env, linux, by):
    found = grub.default(CFG + SNAPSHOTS, env)
    assert (found["entry"]["linux"], found["by"], found["notes"]) == (f"/boot/vmlinuz-{linux}", by, [])


def test_a_literal_default():
    for wanted, found in (("0", "a"), ("1", "b"), ("b", "b")):
        assert title(menu("a", "b", default=wanted), saved_entry="0") == (found, [])
    assert grub.default(menu("a", "b", default="1"), {"saved_entry": "0"})["by"] == "grub.cfg"
    assert title("menuentry a { }") == ("a", [])
    assert title("default=b; menuentry a { }; menuentry b { }") == ("b", [])
    assert title("export default=b; menuentry a { }; menuentry b { }") == ("b", [])
    assert title("set default=b; unset default; menuentry a { }; menuentry b { }") == ("a", [])
    assert title("set; set default; menuentry a { }") == ("a", [])


def test_what_is_not_there_is_the_first_entry_and_said():
    assert title(menu("a", "b"), saved_entry="c") == ("a", ["no entry is called 'c', GRUB takes the first one"])
    assert title(menu("a", "b"), saved_entry="2") == ("a", ["there is no entry number 2, GRUB takes the first one"])
    assert title(CFG, saved_entry=f"{ADVANCED}>9") == (
        NEW_TITLE,
        ["there is no entry number 9, GRUB takes the first one"],
    )
    assert title(CFG, saved_entry="9")[0] == TITLE


def test_the_environment_counts_only_where_it_is_read():
    assert title(menu("a", "b").replace("load_env\n", ""), saved_entry="b") == ("a", [])


def test_a_doubled_bracket_belongs_to_the_name():
    assert title(menu("a", "b>c"), saved_entry="b>>c") == ("b>c", [])
    assert title(menu("a", "b"), saved_entry="b>") == ("b", [])


CONDITION = 'if [ "${grub_platform}" = "efi" ]; then menuentry x { }; fi\n'


@pytest.mark.parametrize(
    ("cfg", "saved", "said"),
    [
        (CONDITION + menu("a"), "0", "entry number 0 depends"),
        (menu("a") + CONDITION, "x", "entry 'x' is there under a condition"),
        (CONDITION + menu("a"), "y", "the first entry is there under a condition"),
        (menu("a") + "menuentry $b { }", "x", "may be one whose name only GRUB knows"),
        (menu("a"), "5 x", "entry '5 x' begins with a digit"),
        (menu("a"), "010", "entry '010' begins with a digit"),
        (menu("a"), " 1", "entry ' 1' begins with a digit"),
        (menu("a"), "²", "begins with a digit"),
        (menu(), "a", "the menu of GRUB has no entry there"),
        (menu() + "submenu a { }", "a", "the menu of GRUB has no entry there"),
        (menu() + "submenu a { source /x; menuentry b { } }", "a>7", "entry number 7 depends"),
        (menu("a") + "set default=$root", "a", "depends on what only GRUB knows"),
        (menu("a") + f"set default={'x' * 1001}", "a", "depends on what only GRUB knows"),
        (menu("a") + "if [ -f /x ]; then set default=b; fi", "a", "depends on what only GRUB knows"),
        (menu("a") + "function f { set default=b; }", "a", "depends on what only GRUB knows"),
        (menu("a") + "while [ -f /x ]; do set default=b; done", "a", "depends on what only GRUB knows"),
        (menu("a") + "blscfg", "a", "takes entries from elsewhere (blscfg)"),
        (menu("a") + "source /x", "a", "takes entries from elsewhere (source)"),
        (menu("a") + "eval $x", "a", "takes entries from elsewhere (eval)"),
        (menu("a") + "$x y", "a", "takes entries from elsewhere (a command that only GRUB knows)"),
    ],
)
def test_what_only_grub_knows_is_not_guessed(cfg, saved, said):
    found, notes = title(cfg, saved_entry=saved)
    assert found is None and said in notes[-1]


@pytest.mark.parametrize(
    ("test", "holds"),
    [
        ('[ "${saved_entry}" ]', True),
        ('[ -n "${saved_entry}" ]', True),
        ('[ -z "${saved_entry}" ]', False),
        ('test "${saved_entry}" = a', True),
        ('[ "${saved_entry}" == b ]', False),
        ("[ x${saved_entry} != xb ]", True),
        ('! [ "${saved_entry}" ]', False),
        ("! loadfont unicode", None),
        ("!", None),
        ("[ ]", None),
        ("[ -f /x ]", None),
        ("[ $saved_entry ]", None),
        ("[ a -a b ]", None),
        ("loadfont unicode", None),
    ],
)
def test_conditions(test, holds):
    cfg = f"load_env; if {test}; then set default=1; else set default=2; fi\n"
    cfg += "".join(f"menuentry {name} {{ }}\n" for name in "abc")
    assert title(cfg, saved_entry="a")[0] == {True: "b", False: "c", None: None}[holds]


@pytest.mark.parametrize(
    ("first", "second", "found"),
    [("[ a ]", "[ a ]", "a"), ('[ "" ]', "[ a ]", "b"), ('[ "" ]', '[ "" ]', "c"), ('[ "" ]', "x", None)],
)
def test_branches(first, second, found):
    cfg = f"if {first}\nthen set default=0; elif {second}; then set default=1; else set default=2; fi\n"
    assert title(cfg + "\n".join(f"menuentry {name} {{ }}" for name in "abc"))[0] == found


def test_what_a_condition_leaves_as_it_is_is_known():
    assert title(menu("a", "b", default="b") + "if [ -f /x ]; then set default=b; fi") == ("b", [])
    cfg = menu("a") + 'if [ "" ]; then if [ a ]; then set default=b; fi; menuentry b { linux /a; }; fi'
    assert title(cfg) == ("a", [])
    assert [item["title"] for item in grub.entries(cfg)] == ["a"]


# -- what GRUB would not read ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a\nb 'c", 'line 2: cannot be read: "\'c"'),
        ('"a', "line 1: cannot be read"),
        ("a | b", "cannot be read: '| b'"),
        ("a \\", "cannot be read"),
        ("menuentry a {", "block has no end"),
        ("if a; then", "if has no end"),
        ("}", "the end of a block that was not begun"),
        ("fi", "the end of a if that was not begun"),
        ("if a; then }", "the end of a block"),
        ("while a; do b; fi", "the end of a if"),
        ("then a", "then, elif or else without if"),
        ("for a in b; do else", "then, elif or else without if"),
        ("submenu a {\n" * 33, "more than 32 nested blocks"),
        ("menuentry a { menuentry b { } }", "a menuentry within a menuentry"),
        ("load_env\n" * 17, "is read more than 16 times"),
        ("x" * (grub.LIMIT + 1), "4194305 characters, at most 4194304 are read"),
    ],
)
def test_errors(text, said):
    with pytest.raises(ValueError, match=r"^grub.cfg: ") as caught:
        grub.default(text, {})
    assert said in str(caught.value)


WORDS = "menuentry submenu 'a' { } if [ -n x ] ; then elif else fi set $c linux /a load_env # source ! while done |"
PARTS = st.sampled_from([f"{word} " for word in WORDS.split()] + ["\n", '"$b" ', "default=", "${d}", "\\", "'", '"'])


@given(st.one_of(st.text(max_size=80), st.lists(PARTS, max_size=40).map("".join)), st.text(max_size=9))
def test_anything_is_an_answer_or_a_value_error(text, saved):
    for cfg in (text, menu("a", "b") + text):
        try:
            found = grub.default(cfg, {"saved_entry": saved, "d": text})
        except ValueError as exc:
            assert str(exc).startswith("grub.cfg: ")
        else:
            assert found["entry"] or found["notes"]


@given(st.text(max_size=80), st.booleans())
def test_any_environment_is_an_answer_or_a_value_error(text, listed):
    try:
        assert isinstance(grub.environment(text if listed else grub.SIGNATURE + text, listed), dict)
    except ValueError as exc:
        assert str(exc).startswith("grubenv: ")


LONG = [
    "a ",
    "; ",
    "$a ",
    '"$a"',
    '"\\x',
    "''",
    "\\\n",
    "#",
    "x",
    "'",
    "set a=$a$a\n",
    "menuentry a {}\n",
    "if a; then\nfi\n",
]


@pytest.mark.parametrize("part", LONG)
@pytest.mark.parametrize("around", ["{}", "menuentry a {{\n{}\n}}", '"{}'])
def test_time_grows_with_the_text_and_no_faster(part, around):
    def seconds(size):
        text, started = around.format(part * (size // len(part))), time.process_time()
        try:
            grub.default(text, {"a": "x"})
        except ValueError:
            pass
        return time.process_time() - started

    assert seconds(80_000) < 20 * seconds(10_000) + 0.5


def test_many_kernels_in_one_entry_take_no_longer():
    started = time.process_time()
    grub.entries("menuentry a {\n" + "".join(f"linux /{number}\n" for number in range(20_000)) + "}")
    assert time.process_time() - started < 10
