"""
Advisories that an administrator has locked, and their packages: what stays out, and what another advisory brings all
the same. Pure decisions.

zypper itself updates the packages of a locked advisory (measured); here they stay as they are. Only an advisory that
is chosen, and brings a package in the same edition or a newer one, brings it: that is what it was made for.
"""

import klp_cves

UNWANTED = "unwanted"  # what zypper calls the status of a needed advisory that is locked
PLAIN = "locked by the administrator; unlock it with: zypper removelock -t patch {}"
OTHER = "locked by the administrator; the lock is shown by: zypper locks"
COMES = "{}; {} comes all the same, advisory {} brings it"


def locked(advisory):
    """Return whether an advisory, as ``zypp_parse.advisories`` has it, is locked."""
    return advisory.get("status") == UNWANTED


def reason(advisory):
    """Return why a locked advisory is left out; ``plain`` says whether its lock is one for its id alone."""
    return PLAIN.format(advisory["id"]) if advisory.get("plain", True) else OTHER


def split(unwanted, chosen, contents):
    """
    Part the packages of locked advisories into those that stay out and those that others bring.

    unwanted, chosen
        ids of advisories.
    contents
        ``{id: {package name: edition}}``.

    Returns ``({name: [(edition, id)]}, {locked id: [(name, id that brings it)]}, {name: edition})``: what must not come
    in that edition or a newer one, what comes all the same, and the editions that the chosen advisories need of what
    stays out.
    """
    out, comes, limits = {}, {}, {}
    for ident in unwanted:
        for name, edition in contents.get(ident, {}).items():
            needed, other = _newest(name, chosen, contents)
            if needed is None or klp_cves.newer(edition, needed):
                out.setdefault(name, []).append((edition, ident))
                limits.update({name: needed} if needed else {})
            else:
                comes.setdefault(ident, []).append((name, other))
    return out, comes, limits


def _newest(name, chosen, contents):
    """Return ``(edition, id)`` of the newest edition of a package that the chosen advisories bring."""
    found: tuple = (None, None)
    for ident in chosen:
        edition = contents.get(ident, {}).get(name)
        if edition and (found[0] is None or klp_cves.newer(edition, found[0])):
            found = edition, ident
    return found


def limited(updates, out, limits):
    """Return updates with the edition that a chosen advisory needs, where the newest one belongs to a locked one."""
    found = dict(updates)
    for name, edition in limits.items():
        new = updates.get(name, {}).get("new")
        if new and brings(out, name, new):
            epoch = new.split(":", 1)[0] + ":" if ":" in new else ""
            found[name] = dict(updates[name], new=epoch + klp_cves.without_epoch(edition))
    return found


def brings(out, name, edition):
    """Return the locked advisory that an edition of a package would bring about, or ``None``."""
    bare = klp_cves.without_epoch(edition)  # advisories have no epoch
    return next((ident for bad, ident in out.get(name, []) if not klp_cves.newer(bad, bare)), None)


def offending(summary, out):
    """Return what a dry run brings although its advisory is locked: ``["upgrade curl-2-1 (advisory A is locked)"]``."""
    return [
        f"{action} {item['name']}-{item['edition']} (advisory {brings(out, item['name'], item['edition'])} is locked)"
        for action in sorted(key for key in summary if key not in ("nothing", "remove"))
        for item in summary[action]
        if item["kind"] == "package" and brings(out, item["name"], item["edition"])
    ]


def told(skipped, comes, packages):
    """Return what is left out, with what comes all the same; ``packages`` are those that are installed."""
    found = []
    for item in skipped:
        there = [pair for pair in comes.get(item["item"], []) if pair[0] in packages]
        found.append(dict(item, reason=COMES.format(item["reason"], *there[0])) if there else item)
    return found
