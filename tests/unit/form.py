"""The form of the formula for SUSE Manager as it is filled in, and what a host has of it then."""

import yaml

from tests.unit import uyuni
from tests.unit.loader import ROOT

FORM = yaml.safe_load((ROOT / "metadata" / "form.yml").read_text())
# 0 means something, and is not the default: an emptied field cannot be told from it, and is refused.
NEEDED = ("klp:update:metadata_age", "klp:window:warn", "klp:health:wait")
# What somebody may fill in, and what the host then has.
FILLED = {
    "klp:level": ("3-150500.2.1", "3-150500.2.1"),
    "klp:levels": (
        [["5.14.21-150500.55.7-default", "2-150500.2.1"], ["", "latest"]],
        {"5.14.21-150500.55.7-default": "2-150500.2.1"},
    ),
    "klp:group": ("sap", "sap"),
    "klp:product:name": ("sle-module-live-patching", "sle-module-live-patching"),
    "klp:product:regcode": ("INTERNAL-USE-1", "INTERNAL-USE-1"),
    "klp:locks:extra": (["dkms-agent", ""], ["dkms-agent"]),
    "klp:update:categories": (["security"], ["security"]),
    "klp:update:severities": (["critical", "important"], ["critical", "important"]),
    "klp:update:exclude": (["SUSE-*-2023-3400", "glibc*"], ["SUSE-*-2023-3400", "glibc*"]),
    "klp:window:refuse": (["expired"], ["expired"]),
    "klp:health:services": (["postgresql", ""], ["postgresql"]),
    "klp:health:commands": (
        [{"run": ["/usr/bin/curl", "-f", "http://localhost/", ""], "timeout": ""}, {"run": [""], "timeout": ""}],
        [{"run": ["/usr/bin/curl", "-f", "http://localhost/"]}, {}],
    ),
    "klp:hooks:before": ("drain", ["drain"]),
    "klp:hooks:after": ("undrain", ["undrain"]),
    "klp:hooks:on_failure": ("page.me", ["page.me"]),
    "klp:backup:create": (["/opt/backup", "make"], ["/opt/backup", "make"]),
    "klp:backup:verify": (["/opt/backup", "verify"], ["/opt/backup", "verify"]),
    "klp:backup:delete": (["/opt/backup", "delete", ""], ["/opt/backup", "delete"]),
    "klp:backup:restore": (["/opt/backup", "restore"], ["/opt/backup", "restore"]),
}


def leaves(element, path=()):
    """Yield key of the pillar and element of everything that can be filled in."""
    for key, part in uyuni.fields(element).items():
        if part["$type"] in uyuni.GROUPS:
            yield from leaves(part, (*path, key))
        else:
            yield ":".join((*path, key)), part


LEAVES = dict(leaves(FORM))


def put(values, path, new):
    *groups, last = path.split(":")
    for key in groups:
        values = values[key]
    values[last] = new


def with_(path, new):
    values = uyuni.shown(FORM)
    put(values, path, new)
    if path.startswith("klp:backup:") and isinstance(new, list) and any(new):  # the programs go together
        put(values, "klp:backup:backend", "command")
        for key in ("create", "verify"):
            put(values, f"klp:backup:{key}", FILLED[f"klp:backup:{key}"][0])
    return values
