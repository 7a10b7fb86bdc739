"""What ``python -m saltext.klp`` prints, and where it must not."""

import yaml

from install import __main__ as program

FORMULA = f"{program.HERE}/formula"


def run(capsys, *args):
    """Return exit code, standard output and standard error."""
    code = program.main(["saltext.klp", *map(str, args)])
    said = capsys.readouterr()
    return code, said.out, said.err


def test_a_master_without_file_roots_gets_them(capsys, tmp_path):
    for args in ((), ("minion",)):
        code, out, err = run(capsys, *args, "-c", tmp_path)
        assert (code, err, yaml.safe_load(out)) == (0, "", {"file_roots": {"base": ["/srv/salt", FORMULA]}})


def test_file_roots_that_are_there_are_not_replaced(capsys, tmp_path):
    (tmp_path / "master").write_text("file_roots:\n  base: [/srv/mine]\n  prod: [/srv/prod]\n")
    code, out, err = run(capsys, "-c", tmp_path)
    assert (code, out) == (1, "")
    assert err == (
        f"{tmp_path}/master has file_roots, which a file of its own would replace; add this line to them, under base: "
        f'- "{FORMULA}"\n'
    )
    assert run(capsys, "minion", "-c", tmp_path)[0] == 0


def test_a_configuration_of_comments_has_none(capsys, tmp_path):
    (tmp_path / "master").write_text("# file_roots:\n")
    assert run(capsys, "-c", tmp_path)[0] == 0


def test_a_configuration_that_nobody_can_read_is_named(capsys, tmp_path):
    (tmp_path / "master").write_text("file_roots: [\n")
    code, out, err = run(capsys, "-c", tmp_path)
    assert (code, out) == (1, "") and err.startswith(f"{tmp_path}/master cannot be read: ")
