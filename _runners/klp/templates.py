"""
How a page is made of the sources in ``page_files``: everything that a host wrote is quoted, and nothing is loaded.
"""

from __future__ import annotations

import base64
import hashlib

import jinja2

from . import page_files


def texts(name, view, styles, script=None, filters=None, **more):
    """
    Yield a page that needs nothing else, one text after the other.

    name
        of the template.
    view
        mapping, what the template shows.
    styles
        names of the styles, in their order.
    script
        name of the script; without one the page allows none.
    """
    environment = jinja2.Environment(
        loader=jinja2.DictLoader(page_files.FILES),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters.update(amount="{:,}".format, **(filters or {}))
    style, code = "".join(page_files.FILES[one] for one in styles), page_files.FILES[script] if script else None
    inside = {"style": style, "script": code, "policy": _policy(style, code)}
    yield from environment.get_template(name).generate(view, **inside, **more)


def _policy(style, script):
    """Return the Content-Security-Policy: nothing but this very style and this very script."""
    rules = [("style-src", style), ("script-src", script)]
    found = [f"{name} 'sha256-{base64.b64encode(_digest(text)).decode()}'" for name, text in rules if text]
    return "; ".join(["default-src 'none'", *found, "base-uri 'none'", "form-action 'none'"])


def _digest(text):
    return hashlib.sha256(text.encode()).digest()
