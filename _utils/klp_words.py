"""
How a sentence counts: a number and its noun in the right form.
"""


def count(number, noun):
    """Return a number with its noun in the right form: ``1 host``, ``2 hosts``, ``2 repositories``."""
    if str(number) == "1":  # 1.0 seconds
        return f"{number} {noun}"
    many = noun[:-1] + "ies" if noun.endswith("y") and noun[-2] not in "aeo" else noun + "s"
    return f"{number} {many}"
