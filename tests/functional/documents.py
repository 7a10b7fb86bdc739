"""The document of a host, which its schema allows, and the CVEs of the lab's advisories."""

import json

import jsonschema

from tests.lab.build import CHECKOUT

SCHEMA = json.loads((CHECKOUT / "docs" / "reference" / "host.schema.json").read_text())
LIVE = ["CVE-2023-3090", "CVE-2023-2002", "CVE-2023-1281", "CVE-2023-1077"]
REBOOT = "CVE-2023-2156"


def document(host):
    """Return the document; the exit code of the call is its verdict."""
    answer = host.salt_call("klp_audit.host")
    assert answer.rc == (0 if answer.data["verdict"] == "ok" else 1), answer.stderr
    jsonschema.validate(answer.data, SCHEMA)
    return answer.data
