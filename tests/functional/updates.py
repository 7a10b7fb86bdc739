"""What the lab's updates bring to a host, and settings that leave them out."""

UPDATED = {
    "curl": "8.0.1-150400.5.26.1",
    "libopenssl1_1": "1.1.1l-150500.17.6.1",
    "libz1": "1.2.13-150500.4.3.1",
    "libzypp": "17.31.20-150500.3.6.1",
    "nfs-client": "2.1.1-150500.22.3.1",
}
NO_WAY = "zypper holds back dkms-agent: it cannot be installed with the locks and repositories as they are"


def difference(before, after):
    """Return the new editions of what was installed or updated between two readings of rpm."""
    return {name: ",".join(after[name]) for name in after if after[name] != before.get(name)}


# Without our own updates in the way: only the live patch is looked at.
ONLY_LIVE_PATCH = {"categories": [], "severities": [], "others": False}
