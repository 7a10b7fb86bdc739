"""The sources of the pages in web/ are what the one Python file of the runner has."""

import pytest

from _runners.klp import page_files
from tools import web


def test_the_module_is_what_web_has(capsys):
    assert web.main(["web", "--check"]) == 0
    for name, text in page_files.FILES.items():
        assert (web.SOURCES / name).read_text() == text


def test_another_source_is_found_and_written(tmp_path, monkeypatch, capsys):
    sources, target = tmp_path / "web", tmp_path / "page_files.py"
    sources.mkdir()
    (sources / "a.css").write_text("b { color: red; }\n")
    (sources / "biome.json").write_text("{}")
    for name, value in (("ROOT", tmp_path), ("SOURCES", sources), ("MODULE", target)):
        monkeypatch.setattr(web, name, value)
    assert web.main(["web", "--check"]) == 1 and "run make web" in capsys.readouterr().out
    assert web.main(["web"]) == 0 and web.main(["web", "--check"]) == 0
    made: dict = {}
    exec(target.read_text(), made)  # noqa: S102 - just written
    assert made["FILES"] == {"a.css": "b { color: red; }\n"}


@pytest.mark.parametrize("text", ['a """ b\n', "no newline"])
def test_a_source_that_python_cannot_quote_is_refused(text):
    with pytest.raises(ValueError, match="a.js"):
        web.module({"a.js": text})
