"""
Answers of zypper, read into plain data.

Pure functions. XML wherever zypper offers it; text only for what its XML leaves out. Unknown XML raises ValueError.

Sources: zypper(8); outputs of zypper 1.14 recorded in ``tests/data/zypper``.
"""

import re
import xml.etree.ElementTree as ElementTree

ACTIONS = (
    "install",
    "upgrade",
    "upgrade-change-arch",
    "downgrade",
    "downgrade-change-arch",
    "remove",
    "reinstall",
    "change-arch",
    "change-vendor",
)
PENDING = ("needed", "optional")  # status of an advisory that can be installed
LARGEST = 64 * 1024 * 1024  # characters of an answer; 3,000 advisories have 2 million
SCRIPTLET = re.compile(r"%\w+\(([^)\s]+)\) scriptlet failed")  # as rpm says it
AT_THE_END = re.compile(r"(\S+?)(?:\.rpm)? %posttrans script failed \(returned")  # libzypp, RpmPostTransCollector.cc
SKIPPED_REPOSITORY = re.compile(r"Skipping repository '([^'\n]+)' because of the above error")
CONFLICT = re.compile(
    r"^\s+(?:(srcpackage):)?([^\s<]+?)(?:\.(?:x86_64|noarch|ppc64le|s390x|aarch64|i[3-6]86))? < (\S+)$"
)


def document(text):
    """Return the root of zypper's XML; text that is not XML, declares entities or is too large raises ValueError."""
    if len(text) > LARGEST:
        raise ValueError(f"zypper --xmlout: the answer has more than {LARGEST} characters")
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise ValueError("zypper --xmlout: the answer declares entities")
    try:
        return ElementTree.fromstring(text.strip())  # noqa: S314 - entities are refused above, only Salt and PyYAML here
    except ElementTree.ParseError as exc:
        raise ValueError(f"zypper --xmlout: not XML ({exc}): {text.strip()[-300:]!r}") from exc


def advisories(text):
    """
    Read ``zypper --xmlout list-patches`` or ``list-updates --type patch``, with what waits for the update stack.

    Returns a list of ``{"id", "status", "category", "severity", "reboot" (bool), "stack" (bool), "summary",
    "repository", "cves"}``.
    """
    root = document(text)
    if root.find(".//update-list") is None:
        raise ValueError(f"zypper list-patches: no update-list in the answer: {text.strip()[-300:]!r}")
    return [_advisory(node) for node in root.iter("update") if node.get("kind") == "patch"]


def some_advisory(text):
    """
    Return whether ``zypper --xmlout list-updates --type patch`` has seen an advisory at all, needed or not (bool).

    Source: zypper, src/update.cc: the status is printed where no repository has one.
    """
    return not any(node.get("status") == "no-update-repositories" for node in document(text).iter("appletinfo"))


def _advisory(node):
    return {
        "id": _attribute(node, "name"),
        "status": node.get("status", "needed"),
        "category": node.get("category", ""),
        "severity": node.get("severity") or "unspecified",
        "reboot": node.get("interactive") == "true" and node.get("restart") == "true",
        "stack": node.get("pkgmanager") == "true",
        "summary": (node.findtext("summary") or "").strip(),
        "repository": _repository(node),
        "cves": sorted({_attribute(issue, "id") for issue in node.iter("issue") if issue.get("type") == "cve"}),
    }


def _repository(node):
    source = node.find("source")
    return None if source is None else source.get("alias")


def blocked(text):
    """
    Return whether ``zypper --xmlout list-updates -t patch -t package`` has left the packages out (bool).

    It does as long as an advisory of the update stack is pending (measured, and so in every version of zypper).
    """
    root = document(text)
    pending = [_advisory(node) for node in root.iter("update") if node.get("kind") == "patch"]
    stack = any(item["stack"] and item["status"] in PENDING for item in pending)
    return stack or root.find(".//blocked-update-list") is not None


def _attribute(node, name):
    value = node.get(name)
    if not value:
        raise ValueError(f"zypper --xmlout: <{node.tag}> without {name}")
    return value


def updates(text):
    """Read ``zypper --xmlout list-updates``: ``{name: {"old", "new"}}`` of packages."""
    root = document(text)
    if root.find(".//update-list") is None:
        raise ValueError(f"zypper list-updates: no update-list in the answer: {text.strip()[-300:]!r}")
    return {
        _attribute(node, "name"): {"old": node.get("edition-old"), "new": _attribute(node, "edition")}
        for node in root.iter("update")
        if node.get("kind") == "package"
    }


def summary(text):
    """
    Read the install summary of a dry run.

    Returns ``{action: [{"name", "kind", "edition", "old"}]}`` for each action in ACTIONS, and ``"nothing"`` (bool).
    Raises ValueError for an answer with neither a summary nor the sentence that there is nothing to do.
    """
    root = document(text)
    found = {action: [] for action in ACTIONS}
    node = root.find(".//install-summary")
    if node is None:
        if not re.search(r"Nothing to do|No updates found", "".join(root.itertext())):
            raise ValueError(f"zypper --dry-run: no install summary in the answer: {text.strip()[-300:]!r}")
        return dict(found, nothing=True)
    for part in node:
        action = part.tag[3:] if part.tag.startswith("to-") else part.tag
        if action not in found:
            raise ValueError(f"zypper --dry-run: unknown part <{part.tag}> of the install summary")
        found[action] += [_solvable(item) for item in part.iter("solvable")]
    return dict(found, nothing=not any(found.values()))


def _solvable(node):
    return {
        "name": _attribute(node, "name"),
        "kind": node.get("type", "package"),
        "edition": node.get("edition", ""),
        "old": node.get("edition-old"),
    }


def editions(text):
    """
    Read ``zypper --xmlout search --details --match-exact``: a list of ``{"edition", "installed", "repository"}``.
    """
    return [
        {
            "edition": _attribute(node, "edition"),
            "installed": node.get("status") == "installed",
            "repository": node.get("repository", ""),
        }
        for node in document(text).iter("solvable")
    ]


def packages(text):
    """Read ``zypper --xmlout search --details``: ``[(name, edition)]`` of packages, installed or not, each once."""
    nodes = document(text).iter("solvable")
    return sorted({(_attribute(node, "name"), _attribute(node, "edition")) for node in nodes})


def providers(text):
    """Read ``zypper --xmlout search --details --provides``: ``[(name, edition)]`` of packages."""
    nodes = [node for node in document(text).iter("solvable") if node.get("kind", "package") == "package"]
    return [(_attribute(node, "name"), _attribute(node, "edition")) for node in nodes]


def advisory_editions(text):
    """
    Read ``zypper info --type patch IDS``: ``{id: {package name: edition}}``, from the conflicts that make an advisory.

    Raises ValueError for a conflict line of another form.
    """
    found, current, inside = {}, None, False
    for line in text.splitlines():
        heading = re.match(r"^(\w[\w -]*?)\s*:\s?(.*)$", line)
        if heading:
            inside = heading.group(1) == "Conflicts"
            if heading.group(1) == "Name":
                current = heading.group(2).strip()
                found[current] = {}
        elif inside and line.strip():
            found.setdefault(current, {}).update(_conflict(line))
    if None in found:
        raise ValueError(f"zypper info: conflicts of no advisory: {', '.join(found[None])}")
    return found


def _conflict(line):
    match = CONFLICT.match(line)
    if not match:
        raise ValueError(f"zypper info: unknown conflict {line.strip()!r}")
    return {} if match.group(1) else {match.group(2): match.group(3)}


def found_advisories(text):
    """Read ``zypper --xmlout search --type patch``: the ids that were found, sorted."""
    return sorted({_attribute(node, "name") for node in document(text).iter("solvable")})


def failed_scriptlets(text):
    """
    Return the packages whose scriptlet failed, as rpm names them.

    A %posttrans that libzypp runs by itself is told in its own words, and the exit code is 0 (measured).
    """
    return sorted(set(SCRIPTLET.findall(text)) | set(AT_THE_END.findall(text)))


def skipped_repositories(text):
    """Return the repositories that zypper says it skipped."""
    return sorted(set(SKIPPED_REPOSITORY.findall(text)))


def repositories(text):
    """
    Read a ``.repo`` file: ``[{"alias", "name", "enabled" (bool), "service", "path"}]``, in the order of the file.

    A section without ``enabled`` is enabled; ``service`` and ``path`` may be empty.
    """
    found = []
    for line in text.splitlines():
        section = re.match(r"^\[(.+)\]\s*$", line)
        pair = re.match(r"^\s*(name|enabled|service|path)\s*=\s*(.*?)\s*$", line, re.IGNORECASE)
        if section:
            found.append({"alias": section.group(1), "name": section.group(1), "enabled": True})
            found[-1].update(service="", path="")
        elif found and pair:
            key, value = pair.group(1).lower(), pair.group(2)
            found[-1][key] = value.lower() not in ("0", "no", "false", "off") if key == "enabled" else value
    return found
