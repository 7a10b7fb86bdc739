"""
Evidence for scanners: OpenVEX documents (v0.2.0) for the fleet and for a host. Pure functions.

The product is the kernel package, under each package URL that a scanner gives it. A CVE that the active live patch
fixes is ``not_affected`` there with ``inline_mitigations_already_exist``: the package on the disk is still the
vulnerable one. In the fleet's document a CVE has that status only if it has it on every host with this kernel package.

Scanners compare package URLs by ``PurlMatches`` of go-vex: type, namespace and name are equal, and what the product has
of version and qualifiers, the scanner's URL has as well. So the product has no ``distro``: each scanner writes it in
its own way, and the edition of a kernel says for which service pack it was built.
"""

from __future__ import annotations

import json
import sys
import time
import urllib.parse

from .words import count

CONTEXT = "https://openvex.dev/ns/v0.2.0"
TOOLING = "salt-klp klp.report"
# From the worst to the best: what one host has, the fleet's document says of all.
ORDER = ("reboot", "pending", "unknown", "fixed_live")
STATUS = {"fixed_live": "not_affected", "pending": "affected", "reboot": "affected", "unknown": "under_investigation"}
# The namespace of a package URL: of trivy today, and of older ones (pkg/purl/purl.go). Syft and grype take the ID of
# /etc/os-release (syft/pkg/cataloger/redhat/package.go), today opensuse for all that begins with it; it is added.
SUSE, OPENSUSE = ("suse", "sles"), ("opensuse", "opensuse.leap")


def namespaces(os_name):
    """
    Return the namespaces of the package URLs that scanners give to packages of a system.

    os_name
        as in a host's document (``sles-15.5``, ``opensuse-leap-15.6``).
    """
    system = os_name.rpartition("-")[0] or os_name
    known = OPENSUSE if system.startswith("opensuse") else SUSE
    return known if system in known else (*known, system)


def package_url(namespace, name, edition, arch):
    """
    Return the package URL of an installed package.

    namespace
        as in ``namespaces``.
    name, edition
        of the package; the edition is ``version-release``.
    arch
        as in a host's document (``x86_64``).
    """
    space, name, edition, arch = (urllib.parse.quote(part, safe="") for part in (namespace, name, edition, arch))
    return f"pkg:rpm/{space}/{name}@{edition}?arch={arch}"


def _kernel(document):
    """Return ``(name, edition, architecture)`` of the running kernel's package; ``None`` where it is not known."""
    if document["kernel_edition"] is None:
        return None
    flavour = document["kernel"].rsplit("-", 1)[-1]
    return f"kernel-{flavour}", document["kernel_edition"], document["arch"]


def _products(package, spaces):
    urls = [package_url(space, *package) for space in spaces]
    return [{"@id": url, "identifiers": {"purl": url}} for url in urls]


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


def _statement(cve, state, products, when, notes, command):
    found = {
        "vulnerability": {"name": cve},
        "timestamp": stamp(when),
        "products": products,
        "status": STATUS[state],
        "status_notes": notes,
    }
    if state == "fixed_live":
        found["justification"] = "inline_mitigations_already_exist"
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
    package, live_patch = _kernel(document), document["live_patch"]
    told = _states(document) if package else []
    if not told:
        return None
    products = _products(package, namespaces(document["os"]))
    notes = f"Host {document['host']}, running kernel {document['kernel']}"
    notes += f", active live patch {live_patch['active']}." if live_patch["active"] else ", no active live patch."
    when = document["time"]
    statements = [_statement(cve, state, products, when, notes, command) for cve, state in told]
    return _head(document["host"], author, when, statements)


def fleet(documents, author, made, command):
    """
    Return the OpenVEX document of the fleet as an iterator of texts, ``None`` where nothing can be said.

    documents
        ``{host: document}``, checked, each is read once; the worst state of a CVE among the hosts with one kernel
        package counts.
    made
        seconds since 1970.
    """
    found: dict = {}
    for document in documents.values():
        package = _kernel(document)
        if package:
            spaces = namespaces(document["os"])
            found.setdefault((*package, spaces[0]), _Kernel(package)).take(document, spaces)
    kernels = [found[key] for key in sorted(found) if found[key].told]
    return _texts(_head("fleet", author, made, []), kernels, command) if kernels else None


def _texts(head, kernels, command):
    """Yield a document as text, one statement after the other: together they may be very many."""
    begin, _, end = json.dumps(head, indent=1).rpartition("[]")
    comma = ""
    yield f"{begin}["
    for kernel in kernels:
        for statement in kernel.statements(command):
            yield f"{comma}\n{json.dumps(statement)}"
            comma = ","
    yield f"\n]{end}\n"


class _Kernel:
    """What the hosts with one kernel package say: for each CVE, how many have it in which state."""

    def __init__(self, package):
        self.package, self.spaces, self.hosts = package, {}, 0
        self.told = {}  # {CVE: [hosts for each state in ORDER, the oldest time]}

    def take(self, document, spaces):
        """Add the document of a host."""
        self.hosts += 1
        self.spaces.update(dict.fromkeys(spaces))
        when, told = document["time"], self.told
        for index, state in enumerate(ORDER):
            for cve in document["cves"][state]:
                kept = told.get(cve)
                if kept is None:
                    kept = told[sys.intern(cve)] = [0] * len(ORDER) + [when]
                kept[index] += 1
                kept[-1] = min(kept[-1], when)

    def statements(self, command):
        """Yield a statement for each CVE: the worst state that one of the hosts has."""
        products = _products(self.package, self.spaces)
        for cve in sorted(self.told):
            *counts, when = self.told[cve]
            words = [(word, number) for word, number in zip(ORDER, counts) if number]
            state, silent = words[0][0], self.hosts - sum(counts)
            if silent and state == "fixed_live":
                state = "unknown"  # a host with this kernel does not know of it
            notes = f"{count(self.hosts, 'host')} with this kernel package: "
            notes += ", ".join(f"{word} on {number}" for word, number in words)
            notes += f", not known on {silent}." if silent else "."
            yield _statement(cve, state, products, when, notes, command)
