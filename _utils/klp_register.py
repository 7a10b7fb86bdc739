"""
Texts about the registration of a host with SUSE Customer Center. Pure functions.

Source: SUSEConnect(8); suseconnect-ng of late 2024 and newer takes a code on standard input (``--regcode -``).
"""

import json


def products(text):
    """
    Read ``SUSEConnect --status``: ``{identifier: {"version", "arch", "registered" (bool)}}``.

    Registration codes in the answer are dropped here. Raises ValueError for anything but that list; the text is not
    quoted, since it may hold a code.
    """
    try:
        entries = json.loads(text)
    except ValueError as exc:
        raise ValueError("SUSEConnect --status: the answer is not JSON") from exc
    if not isinstance(entries, list) or not all(isinstance(item, dict) for item in entries):
        raise ValueError("SUSEConnect --status: the answer is not a list of products")
    found = {}
    for item in entries:
        if not all(isinstance(item.get(key), str) for key in ("identifier", "version", "arch", "status")):
            raise ValueError("SUSEConnect --status: a product without identifier, version, arch or status")
        found[item["identifier"]] = {
            "version": item["version"],
            "arch": item["arch"],
            "registered": item["status"] == "Registered",
        }
    return found


def missing(found, name):
    """
    Return ``NAME/VERSION/ARCH`` of the product to activate, or ``None`` where there is nothing to do.

    Nothing is activated on a host that is not registered: its repositories come from somewhere else.
    """
    if found.get(name, {}).get("registered"):
        return None
    bases = [item for item in sorted(found) if found[item]["registered"] and item.upper().startswith("SLE")] or [
        item for item in sorted(found) if found[item]["registered"]
    ]
    if not bases:
        return None
    base = found[bases[0]]
    return f"{name}/{base['version']}/{base['arch']}"
