"""
How texts are made that more than one file shows: a number with its noun, the value of a label.
"""


def count(number, noun):
    """Return a number with its noun in the right form: ``1 host``, ``2 hosts``, ``2 repositories``."""
    if str(number) == "1":  # 1.0 seconds
        return f"{number} {noun}"
    many = noun[:-1] + "ies" if noun.endswith("y") and noun[-2] not in "aeo" else noun + "s"
    return f"{number} {many}"


def label(value):
    """Return the value of a label as Prometheus' text format (0.0.4) quotes it."""
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
