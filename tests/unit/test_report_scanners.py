"""
What scanners take of the evidence: each finds the products under its own package URLs, by the rule of its own library.

The rule is that of go-vex (openvex/go-vex, pkg/vex: ``PurlMatches``, ``Component.Matches``, ``Statement.Matches``),
which trivy (pkg/vex/openvex.go) and grype (grype/vex/openvex/implementation.go) call. The package URLs are those of
trivy (pkg/purl/purl.go, and SBOMs of images of SUSE and openSUSE) and of syft (syft/pkg/cataloger/redhat/package.go).
"""

import json
from urllib.parse import quote

import packageurl
import pytest

from _runners.klp import evidence
from tests import fleet

EDITION = "5.14.21-150500.55.94.1"
NAME = f"kernel-default@{EDITION}?arch=x86_64"
SOURCE = "&upstream=kernel-default-5.14.21-150500.55.94.1.src.rpm"  # syft adds it, of the rpm database


def purl_matches(general, specific):
    """Port of PurlMatches: whatever the product says, the scanner's URL has to say as well, and it may say more."""
    one, other = (packageurl.PackageURL.from_string(text) for text in (general, specific))
    if (one.type, one.namespace, one.name) != (other.type, other.namespace, other.name):
        return False
    if one.version and one.version != other.version:
        return False
    return all(other.qualifiers.get(key) == value for key, value in one.qualifiers.items())


def product_matches(product, url):
    """Port of Component.Matches, and of Product.Matches without a subcomponent, as both scanners call it."""
    names = [product.get("@id", ""), *product.get("identifiers", {}).values()]
    return any(name == url or (name.startswith("pkg:") and purl_matches(name, url)) for name in names)


def told(vex, url, cve):
    """Return what a scanner takes of a document for a package with a CVE: the statuses of all statements that match."""
    return [
        item["status"]
        for item in vex["statements"]
        if item["vulnerability"]["name"] == cve and any(product_matches(product, url) for product in item["products"])
    ]


def documents(system, **changes):
    return {"web1": fleet.document("web1", os=system, kernel_edition=EDITION, **changes)}


def both(found):
    """Return the document of the fleet, and that of its only host."""
    whole = json.loads("".join(evidence.fleet(found, "A", fleet.NOW, "c")))
    return [whole, *(evidence.host(item, "A", "c") for item in found.values())]


SCANNERS = [
    ("sles-15.5", f"pkg:rpm/suse/{NAME}&distro=sles-15.5", "trivy"),
    ("sles-15.5", f"pkg:rpm/suse/{NAME}&distro=suse-15.5", "trivy, as some SBOMs have it"),
    ("sles-15.5", f"pkg:rpm/sles/{NAME}&distro=sles-15.5", "trivy until 0.5x"),
    ("sles-15.5", f"pkg:rpm/sles/{NAME}&distro=sles-15.5{SOURCE}", "syft and grype"),
    ("sles_sap-15.5", f"pkg:rpm/suse/{NAME}&distro=sles-15.5", "trivy"),
    ("sles_sap-15.5", f"pkg:rpm/sles_sap/{NAME}&distro=sles_sap-15.5{SOURCE}", "syft and grype"),
    ("opensuse-leap-15.5", f"pkg:rpm/opensuse/{NAME}&distro=opensuse-leap-15.5", "trivy"),
    ("opensuse-leap-15.5", f"pkg:rpm/opensuse.leap/{NAME}&distro=opensuse.leap-15.5", "trivy until 0.5x"),
    ("opensuse-leap-15.5", f"pkg:rpm/opensuse/{NAME}&distro=opensuse-leap-15.5{SOURCE}", "syft and grype"),
    ("opensuse-leap-15.5", f"pkg:rpm/opensuse-leap/{NAME}&distro=opensuse-leap-15.5{SOURCE}", "older syft"),
]


@pytest.mark.parametrize(("system", "url", "scanner"), SCANNERS, ids=[f"{row[0]} {row[2]}" for row in SCANNERS])
def test_a_scanner_finds_the_kernel_package_under_its_own_name(system, url, scanner):
    for vex in both(documents(system)):
        assert told(vex, url, "CVE-2026-23100") == ["not_affected"]


@pytest.mark.parametrize(
    "url",
    [
        f"pkg:rpm/suse/{NAME}".replace("55.94", "55.88"),
        f"pkg:rpm/suse/{NAME}".replace("x86_64", "ppc64le"),
        f"pkg:rpm/suse/{NAME}".replace("kernel-default", "kernel-rt"),
        f"pkg:rpm/opensuse/{NAME}&distro=opensuse-leap-15.5",
        f"pkg:rpm/redhat/{NAME}",
        "pkg:rpm/suse/kernel-default?arch=x86_64",
        f"pkg:deb/suse/{NAME}",
    ],
)
def test_no_other_package_is_called_safe(url):
    for vex in both(documents("sles-15.5")):
        assert told(vex, url, "CVE-2026-23100") == []
    assert told(vex, f"pkg:rpm/suse/{NAME}", "CVE-2026-1") == []


def test_an_edition_with_signs_is_found():
    """A package URL has them escaped or not: a scanner compares what it has decoded."""
    edition = "5.14.21~rc1+git^2-150500.1"
    vex = evidence.host(fleet.document(kernel_edition=edition), "A", "c")
    for text in (edition, quote(edition, safe="")):
        assert told(vex, f"pkg:rpm/suse/kernel-default@{text}?arch=x86_64", "CVE-2026-23100") == ["not_affected"]


def test_hosts_that_a_scanner_cannot_tell_apart_are_as_safe_as_the_worst_of_them():
    """SLES and SLES for SAP have one kernel package, and one of their names is the same; Leap has names of its own."""
    found = documents("sles-15.5")
    found["hana1"] = {**documents("sles_sap-15.5")["web1"], "host": "hana1"}
    found["hana1"]["cves"] = {**found["hana1"]["cves"], "fixed_live": ["CVE-2026-21999"], "reboot": ["CVE-2026-23100"]}
    found["leap1"] = {**documents("opensuse-leap-15.5")["web1"], "host": "leap1"}
    vex = both(found)[0]
    for url in (f"pkg:rpm/suse/{NAME}", f"pkg:rpm/sles/{NAME}", f"pkg:rpm/sles_sap/{NAME}"):
        assert told(vex, url, "CVE-2026-23100") == ["affected"]
        assert told(vex, url, "CVE-2026-21999") == ["not_affected"]
    assert told(vex, f"pkg:rpm/opensuse/{NAME}", "CVE-2026-23100") == ["not_affected"]
