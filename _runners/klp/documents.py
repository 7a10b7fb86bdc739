"""
What ``klp_audit.host`` of a host answers, and what may be believed of it: its form, no more.

``docs/reference/host.schema.json`` is made of this form.
"""

from __future__ import annotations

import klp_checks

from . import answers
from .shape import (
    LINES,
    MOMENT,
    NAME,
    SENTENCE,
    SENTENCES,
    Choice,
    Const,
    Each,
    Flag,
    Maybe,
    Pairs,
    Record,
    Whole,
    Word,
    text,
)
from .updates import SEVERITIES

KIND, VERSION = "salt-klp/host", 4
# What documents of older versions have not, of hosts that are updated after their master.
OLDER: dict = {3: {"kernel_target": None, "kernel_change": None}}
LONGEST = 20000  # CVEs or advisories of one list

CVE = Word(r"CVE-[0-9]{4}-[0-9]{4,19}", "a CVE")
CVES = Each(CVE, LONGEST, unique=True)
DATE = Word(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", "a day (YYYY-MM-DD)")
DAYS = Whole(-4000000, 4000000)  # a calendar has fewer
COUNT, LEVEL = Whole(0, 10**6), Whole(0, 10**6)
VERDICT, SEVERITY = Choice(*klp_checks.VERDICTS), Choice(*SEVERITIES)
STATES = ("fixed_live", "pending", "reboot", "unknown")  # of a CVE


def _record(**forms):
    return Record(forms, closed=True)


CHECK = _record(
    check=SENTENCE.says("Name of the check, as klp.verify has it; errors: of the kernel itself."),
    verdict=VERDICT,
    detail=SENTENCE,
)
TRANSITION = _record(
    state=Choice("ready", "in_progress", "unknown"),
    blockers=SENTENCES.says("The tasks that hold it up, one line each."),
)
LIVE_PATCH = _record(
    package=Maybe(NAME.says("Live patch package of the running kernel; null where SUSE makes none.")),
    edition=Maybe(NAME.says("Installed VERSION-RELEASE.")),
    level=Maybe(LEVEL),
    active=Maybe(NAME.says("Module that is active in the kernel.")),
    newest=Maybe(NAME.says("Newest edition in the repositories that SUSE has not withdrawn.")),
    held=Maybe(NAME.says("Edition that this host is held at after it went back.")),
    retracted=Maybe(Flag().says("Has SUSE withdrawn the installed edition?")),
)
ESTIMATE = _record(last=DATE, days=DAYS).says(
    "Build date of the kernel and one year, where the lifecycle data have no line; never a verdict."
)
LIMIT = _record(max_level=LEVEL, reached=Flag()).says("Pillar klp:window:max_level, where it is declared.")
WINDOW = _record(
    state=Choice("open", "expired", "unknown"),
    first=Maybe(DATE.says("Build date of the running kernel's package.")),
    last=Maybe(DATE.says("Last day on which live patches are made, from the lifecycle data.")),
    days=Maybe(DAYS.says("Days from today to last; negative after it.")),
    estimate=Maybe(ESTIMATE),
    limit=Maybe(LIMIT),
    source=Maybe(SENTENCE.says("FILE:LINE of the lifecycle data.")),
    reason=SENTENCE.says("One sentence."),
)
REBOOT = _record(
    needed=Maybe(Flag().says("Something that was installed asks for a reboot.")),
    verdict=Choice(klp_checks.OK, klp_checks.FAILED, klp_checks.UNKNOWN).says(
        "Would this host come up live patched, if it restarted now (klp_audit.reboot_safety)?"
    ),
    kernel=Maybe(NAME.says("uname -r of the kernel that would come up.")),
    live_patch=Maybe(NAME.says("Edition of that kernel's live patch.")),
    reasons=SENTENCES,
)
ADVISED = _record(
    fixed_live=CVES.says("Fixed by the active live patch."),
    fixed_kernel=COUNT.says("How many more are fixed in the running kernel itself."),
    pending=CVES.says("Fixed by a newer live patch that is available."),
    reboot=CVES.says("Fixed only in a newer kernel."),
    unknown=CVES.says("The status is unknown, or sources contradict each other."),
    severity=Pairs(CVE, SEVERITY, 4 * LONGEST).says(
        "Of all CVEs but those of fixed_kernel, where an advisory tells it."
    ),
    contradictions=SENTENCES.says("One line for each CVE of which the sources say different things."),
    reason=Maybe(SENTENCE.says("Why the lists are not known; they are empty then.")),
)
PENDING = _record(**dict.fromkeys(SEVERITIES, COUNT))
LEFT_OUT = _record(
    id=SENTENCE,
    severity=SEVERITY,
    kernel=Flag().says("Does it hold packages of the kernel itself? Which of its CVEs are open is said by cves."),
    reason=SENTENCE,
    since=Maybe(MOMENT.says("When this host saw it first.")),
)
RESTART = _record(
    host=Maybe(SENTENCES.says("Packages that are installed and count after a restart of the host; null: not known.")),
    services=Maybe(
        SENTENCES.says("Units with processes that still use files that an update has replaced; null: not known.")
    ),
)
REPOSITORY = _record(
    alias=SENTENCE,
    time=Maybe(MOMENT.says("When its metadata were made (repomd.xml).")),
    frozen=Maybe(
        Flag().says(
            "Does it hold updates, and has it stood still for longer than pillar klp:update:metadata_age?",
        )
    ),
)
UPDATES = _record(
    pending=PENDING.says(
        "How many needed security advisories the next klp.patch would bring, by severity; those of live patches count."
    ),
    # None of them may be missing: it could be the only severe one.
    left_out=Each(LEFT_OUT, LONGEST).says("Needed security advisories that klp.patch leaves out."),
    restart=RESTART,
    repositories=Each(REPOSITORY, LONGEST).says("The enabled repositories."),
    reason=Maybe(SENTENCE.says("Why the lists are not known or not complete.")),
)
TARGET = _record(
    release=Maybe(NAME.says("uname -r of it.")),
    edition=Maybe(NAME.says("VERSION-RELEASE of its package.")),
    live_patch=Maybe(NAME.says("Newest edition of its live patch that SUSE has not withdrawn.")),
    package=Maybe(NAME.says("Name of its package.")),
    window_last=Maybe(DATE.says("Last day on which live patches are made for it.")),
    estimated=Maybe(Flag().says("Is that its build date and one year, as the lifecycle data have no line?")),
    cves=_record(**dict.fromkeys(SEVERITIES, COUNT)).says("How many CVEs that are open on this host it closes."),
    problem=Maybe(SENTENCE.says("Why this host can have no other kernel now; null: it can.")),
).says("The kernel that pillar klp:kernel:target means now, the running one if no other is better; null: none.")
DOCUMENT = _record(
    schema=Const(KIND),
    version=Const(VERSION),
    host=SENTENCE.says("Id of the minion."),
    time=MOMENT.says("When this was found out."),
    boot=Maybe(answers.BOOT.says("Id of this boot (/proc/sys/kernel/random/boot_id).")),
    os=SENTENCE.says("ID-VERSION_ID of /etc/os-release, e.g. sles-15.5."),
    arch=SENTENCE,
    group=SENTENCE.says("Pillar klp:group; hosts of a group are not restarted all at once. Empty: none."),
    kernel=NAME.says("uname -r"),
    kernel_edition=Maybe(NAME.says("VERSION-RELEASE of the running kernel's package.")),
    verdict=VERDICT.says("The worst of all checks of klp.verify, and of the kernel's own errors."),
    checks=Each(CHECK, 20000, kept=LINES).says("The checks that are not ok, with what is wrong in a sentence."),
    transition=TRANSITION,
    live_patch=LIVE_PATCH,
    locks=_record(missing=Maybe(SENTENCES.says("Kernel packages that are not locked in every version."))),
    taint=_record(
        value=Maybe(answers.COUNTER.says("/proc/sys/kernel/tainted")),
        errors=SENTENCES.says("What taint flags and kernel log tell of errors of the kernel."),
    ),
    window=WINDOW,
    reboot=REBOOT,
    cves=ADVISED,
    updates=UPDATES,
    kernel_target=Maybe(TARGET),
    kernel_change=Maybe(answers.CHANGE).says("The last change of kernel of this host (SLS klp.kernel)."),
    problems=SENTENCES.says("What could not be found out, and why; whatever depends on it is unknown or null."),
)


def document(host, value):
    """
    Return the document of a host, checked, its texts as they may be shown and kept.

    Raises ``answers.NonsenseError`` with a clause that says what is wrong with it, also for another host's document,
    ``answers.ForeignError`` for a host of another system.
    """
    answers.bounded(value)
    answers.spoken(host, value)
    if not isinstance(value, dict) or value.get("schema") != KIND:
        raise answers.NonsenseError(f"its answer is no document: {text(value)}")
    value = _newer(value)
    if value.get("version") != VERSION:
        found = text(value.get("version"))
        raise answers.NonsenseError(f"its document has version {found}, wanted {VERSION}; bring both to one version")
    if value.get("host") != host:
        raise answers.NonsenseError(f"its document is of another host: {text(value.get('host'))}")
    found = answers.taken(DOCUMENT.take, value)
    states = [found["cves"][key] for key in STATES]
    if sum(map(len, states)) != len(set().union(*states)):
        raise answers.NonsenseError("its document has one CVE in two states")
    return found


def _newer(value):
    """Return a document of an older version, as known in OLDER, in the form of today."""
    version = value.get("version")
    return {**OLDER[version], **value, "version": VERSION} if type(version) is int and version in OLDER else value


def schema():
    """Return the form as JSON Schema."""
    about = (
        f"Version {VERSION}. Times are seconds since 1970, dates are YYYY-MM-DD (UTC). null is always 'not known' or "
        "'there is none', never 'no'."
    )
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"https://salt-klp.invalid/schema/host/{VERSION}",
        "title": "What klp_audit.host says of one host",
        "description": about,
        **DOCUMENT.json(),
    }
