"""The backups that a host remembers, and the snapshots of the lab's snapper."""

import json

RUNS = "/var/lib/salt-klp/runs.json"
SNAPPER = {"backend": "snapper"}


def runs(host):
    """Return the runs that a host remembers."""
    return json.loads(host.read(RUNS))


def installed(host):
    """Return all packages, one string each."""
    return {f"{name}-{edition}" for name, editions in host.packages().items() for edition in editions}


def snapshots(host):
    """Return the snapshots of the snapper of the lab."""
    path = "/var/lib/lab/snapper.json"
    return json.loads(host.read(path)) if host.exists(path) else []
