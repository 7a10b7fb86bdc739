"""
Evidence for scanners: OpenVEX documents (v0.2.0) for a host and for the fleet. Pure functions.

The product is the kernel package as a package URL. A CVE that the active live patch fixes is ``not_affected`` there
with ``inline_mitigations_already_exist``: the package on the disk is still the vulnerable one. In the fleet's document
a CVE has that status only if it has it on every host with this kernel package.
"""

from __future__ import annotations

import re
import time
import urllib.parse

from .words import count

CONTEXT = "https://openvex.dev/ns/v0.2.0"
TOOLING = "salt-klp klp.report"
# From the worst to the best: what one host has, the fleet's document says of all.
ORDER = ("reboot", "pending", "unknown", "fixed_live")
STATUS = {"fixed_live": "not_affected", "pending": "affected", "reboot": "affected", "unknown": "under_investigation"}
SLE = re.compile(r"[a-z0-9._-]+\Z")


def package_url(name, edition, arch, os_name):
    """
    Return the package URL of an installed package of SUSE.

    name, edition
        of the package; the edition is ``version-release``.
    arch, os_name
        as in a host's document (``x86_64``, ``sles-15.5``).
    """
    quote = urllib.parse.quote
    distro = os_name if SLE.match(os_name) else quote(os_name, safe=".-")
    return f"pkg:rpm/suse/{quote(name, safe='')}@{quote(edition, safe='')}?arch={quote(arch, safe='')}&distro={distro}"


def kernel_url(document):
    """Return the package URL of the running kernel, or ``None`` where its package is not known."""
    if document["kernel_edition"] is None:
        return None
    flavour = document["kernel"].rsplit("-", 1)[-1]
    return package_url(f"kernel-{flavour}", document["kernel_edition"], document["arch"], document["os"])


def stamp(seconds):
    """Return a time as OpenVEX wants it."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def _head(name, author, made, statements):
    return {
        "@context": CONTEXT,
        "@id": f"urn:salt-klp:vex:{urllib.parse.quote(name, safe='')}:{int(made)}",
        "author": author,
        "role": "Administrators of the hosts",
        "timestamp": stamp(made),
        "version": 1,
        "tooling": TOOLING,
        "statements": statements,
    }


def _statement(cve, state, product, when, notes, command, live_patch):
    found = {
        "vulnerability": {"name": cve},
        "timestamp": stamp(when),
        "products": [{"@id": product, "identifiers": {"purl": product}}],
        "status": STATUS[state],
        "status_notes": notes,
    }
    if state == "fixed_live":
        found["justification"] = "inline_mitigations_already_exist"
        if live_patch:
            found["products"][0]["subcomponents"] = [{"@id": live_patch, "identifiers": {"purl": live_patch}}]
    elif state == "pending":
        found["action_statement"] = f"A newer live patch fixes it: {command}"
    elif state == "reboot":
        found["action_statement"] = "Only a newer kernel has the fix: install it and restart into it."
    return found


def _states(document):
    return [(cve, state) for state in ORDER for cve in document["cves"][state]]


def host(document, author, command):
    """
    Return the OpenVEX document of a host, or ``None`` where nothing can be said: no kernel package, no CVE.

    document
        of the host, checked.
    author
        who says so.
    command
        that brings the newest live patch.
    """
    product = kernel_url(document)
    live_patch, statements = document["live_patch"], []
    patch = None
    if live_patch["package"] and live_patch["edition"]:
        patch = package_url(live_patch["package"], live_patch["edition"], document["arch"], document["os"])
    for cve, state in _states(document) if product else []:
        notes = f"Host {document['host']}, running kernel {document['kernel']}"
        notes += f", active live patch {live_patch['active']}." if live_patch["active"] else ", no active live patch."
        statements.append(_statement(cve, state, product, document["time"], notes, command, patch))
    return _head(document["host"], author, document["time"], statements) if statements else None


def fleet(documents, author, made, command):
    """
    Return the OpenVEX document of the fleet, or ``None`` where nothing can be said.

    documents
        ``{host: document}``, checked; the worst state of a CVE among the hosts with one kernel package counts.
    made
        seconds since 1970.
    """
    products: dict = {}
    for document in documents.values():
        product = kernel_url(document)
        if product:
            products.setdefault(product, []).append(document)
    statements = []
    for product in sorted(products):
        statements += _product(product, products[product], command)
    return _head("fleet", author, made, statements) if statements else None


def _product(product, documents, command):
    """Return the statements about one kernel package: per CVE the worst that one of its hosts has."""
    told: dict = {}
    for document in documents:
        for cve, state in _states(document):
            told.setdefault(cve, {}).setdefault(state, []).append(document)
    found = []
    for cve in sorted(told):
        said = sum(map(len, told[cve].values()))
        state = next(word for word in ORDER if word in told[cve])
        if said < len(documents) and state == "fixed_live":
            state = "unknown"  # a host with this kernel does not know of it
        hosts = ", ".join(f"{word} on {len(told[cve][word])}" for word in ORDER if word in told[cve])
        notes = f"{count(len(documents), 'host')} with this kernel package: {hosts}"
        notes += f", not known on {len(documents) - said}." if said < len(documents) else "."
        when = min(document["time"] for members in told[cve].values() for document in members)
        found.append(_statement(cve, state, product, when, notes, command, None))
    return found
