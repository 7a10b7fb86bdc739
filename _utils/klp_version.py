"""
The version of what is below ``_utils``; each file of ``_modules`` and ``_states`` has one of its own to compare.
"""

VERSION = "0.2.0"


def problem(version, path):
    """
    Return why a module of ``version`` cannot work with these utils, with the next command; ``None`` where it can.

    path
        ``__file__`` of the module: what pip has installed is not synced.
    """
    if version == VERSION:
        return None
    return f"salt-klp: module of version {version}, utils of version {VERSION}: {cure(path)}"


def cure(path):
    """Return the command that brings all files of salt-klp to one version."""
    if "/saltext/" in path.replace("\\", "/"):
        return "install it again with: pip install --force-reinstall salt-klp"
    return "run: salt-run saltutil.sync_all" if "runners/" in path else "run saltutil.sync_all"
