"""
Texts about the registration of a host with SUSE Customer Center. Pure functions.

Source: SUSEConnect(8); suseconnect-ng of late 2024 and newer takes a code on standard input (``--regcode -``); its exit
codes, and that it writes errors to standard output, are of SUSE/connect-ng cmd/suseconnect/suseconnect.go.
"""

import json
import re

import klp_cmd

REFUSED = 67  # the registration server has said no
JSON = re.compile(r"[\[{\"]")  # the status of products, which holds codes
# Codes are letters and digits of at least 14 characters, some with dashes; passwords of systems and tokens in addresses
# are longer. A long word in capitals with dashes is hidden as well, whatever it is.
SECRET = re.compile(
    r"(?<![A-Za-z0-9])(?:INTERNAL-USE-ONLY-\S+|(?=[A-Z0-9-]{12})[A-Z0-9]+(?:-[A-Z0-9]+)+|(?=[A-Za-z]*\d)[A-Za-z0-9]{14,})"
    r"|(?<=//)[^/\s@]+(?=@)"
)


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


def refusal(args, res, code=True, hand=""):
    """
    Return the sentence for a SUSEConnect that has failed, with its own words but for what is secret.

    args
        its arguments.
    res
        dict of the run.
    code
        whether a registration code was given.
    hand
        the way by hand where the SUSEConnect of this system takes no code from standard input.
    """
    said = "\n".join(part.strip() for part in (res["stderr"], res["stdout"]) if part and part.strip())
    lines = [line.strip() for line in said.splitlines() if line.strip() and not JSON.match(line.strip())]
    shown = SECRET.sub("*****", klp_cmd.shortened("; ".join(lines), 600)) or "no output"
    text = f"SUSEConnect {' '.join(args)}: {klp_cmd.ended(res['retcode'])}: {shown}"
    if code or res["retcode"] != REFUSED:
        return text
    return f"{text}; if this product needs a registration code: {hand or 'set pillar klp:product:regcode'}"


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
