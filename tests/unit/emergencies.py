"""Documents of hosts that say something of one CVE."""

from tests import fleet

CVE, OTHER = "CVE-2026-31431", "CVE-2026-99999"
DAY = 86400


def having(state, host="web1", **more):
    """Return the document of a host that has the CVE in a state, ``None``: it does not name it."""
    lists: dict = {f"cves__{key}": [] for key in ("fixed_live", "pending", "reboot", "unknown")}
    lists.update({f"cves__{state}": [CVE]} if state else {}, cves__severity={CVE: "critical"} if state else {})
    return fleet.document(host, **{**lists, **more})


TARGET = dict(fleet.COVERED["kernel_target"], cves={**fleet.NONE, "critical": 1})
