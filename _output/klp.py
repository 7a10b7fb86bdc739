"""
Shows what the runner ``klp`` returns: its text. ``--out=json`` and the others show the whole document.
"""


def output(data, **kwargs):
    """Return the text of an answer of the runner ``klp``."""
    return data["text"] if isinstance(data, dict) and isinstance(data.get("text"), str) else str(data)
