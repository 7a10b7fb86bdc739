"""
What is known about a host: CVEs, support window, what a restart would bring, alarms, and the one document. Reads only.

:depends: ``zypper``, ``rpm``, ``klp``; ``lsinitrd``; ``btrfs`` where the root is btrfs; ``grub2-editenv`` where GRUB
    keeps variables outside of its environment block
:pillar: ``klp`` (see ``docs/reference/pillar.md``)
"""

VERSION = "0.2.0"
try:
    import klp_fresh

    klp_fresh.renew()
    import klp_alarms
    import klp_audit_cves
    import klp_document
    import klp_health
    import klp_host
    import klp_reboot
    import klp_summary
    import klp_target
    import klp_version
    import klp_window

    PROBLEM = klp_version.problem(VERSION, __file__)
except ImportError as exc:
    CURE = "install salt-klp again with pip" if "saltext" in __file__ else "run saltutil.sync_all"
    PROBLEM = f"salt-klp: {exc}: {CURE}"


def __virtual__():
    wrong = PROBLEM or klp_host.foreign()
    return (False, wrong) if wrong else True


def _host():
    return klp_host.of(__salt__, __pillar__, __grains__, opts=__opts__)


def host():
    """
    Return the one document about this host, from which grains, reports, metrics and evidence are made.

    Its schema is ``docs/reference/host.schema.json``, version 4, with an example beside it. What cannot be found out is
    ``null`` or ``unknown``, with a sentence in ``problems``; this function does not fail for it. With any verdict but
    ``ok`` the return code of the job is not 0. Answers of zypper, klp and lsinitrd are kept until what they depend on
    changes. The document is written to ``/var/lib/salt-klp/host.json``, mode 0600, for the grain, and facts of it that
    every user may read to the folder of pillar ``klp:facts``.

    CLI Example:

    .. code-block:: bash

        salt '*' klp_audit.host
    """
    found = klp_document.document(_host())
    __context__["retcode"] = 0 if found["verdict"] == "ok" else 1
    return found


def cves(only=None):
    """
    Return each CVE of kernel and live patch advisories that this host can see, with its state for the running kernel.

    only
        list of str, or str with commas: CVEs; no others are in the answer; default: all of them.

    Returns ``{"kernel", "live_patch" (active edition, "" for none, None for not known), "transition" (bool: one runs),
    "cves": {cve: {"state", "severity" (of the advisory, or None), "klp", "changelog" (bool or None), "advisories":
    [ids]}}, "contradictions": [lines], "reasons": [why this may be incomplete]}``. States are ``fixed_live``,
    ``fixed_kernel``, ``pending`` (a newer live patch is available), ``reboot`` (only a newer kernel has it) and
    ``unknown``, which is also what sources that contradict each other give. Slow answers are kept until packages or
    repositories change. Sources: klp(8), rpm(8) --changelog, zypper(8) list-patches.

    CLI Example:

    .. code-block:: bash

        salt '*' klp_audit.cves
    """
    return klp_audit_cves.cves(_host(), only)


def window():
    """
    Return how long live patches are made for the running kernel.

    Returns ``{"state" (open, expired or unknown), "first" (build date of the kernel's package), "last", "days" (until
    then), "estimate": {"last", "days"} or None, "limit": {"max_level", "reached"} or None, "source" (FILE:LINE),
    "reason"}``; dates are ``YYYY-MM-DD``. Without a line for this kernel the state is ``unknown``, and the estimate is
    one year from the build. Source: the lifecycle data of the installed products, read as zypper-lifecycle does.

    CLI Example:

    .. code-block:: bash

        salt '*' klp_audit.window
    """
    return klp_window.window(_host())


def kernels():
    """
    Return the kernels of the running flavour that repositories have or that are installed, newest first.

    Each ``{"package", "edition", "release" (uname -r), "running" (bool), "installed" (bool), "retracted" (bool, None:
    no advisory speaks of kernels), "live_patch": {"package", "edition" (the newest that was not withdrawn)} or None,
    "window": {"state", "first" (build date), "last", "estimated" (bool), "source" (FILE:LINE)}, "cves": {CVE: severity}
    that are open on this host and fixed in it, "kmps": {"good", "missing", "unknown": [kernel module packages of this
    host], "install": {name: edition} that have to come with it}, "boot": {"needed" (bytes, None: not known), "free"},
    "problems": [why it does not qualify]}``. Nothing is asked of a repository that has not changed since the last time.
    Pillar ``klp:kernel:target`` chooses one of them. Sources: zypper(8) search, list-patches; primary.xml; rpm(8).

    CLI Example:

    .. code-block:: bash

        salt '*' klp_audit.kernels
    """
    return klp_target.kernels(_host())


def reboot_safety():
    """
    Return what would come up if this host were restarted now; changes nothing, and does not restart anything.

    Returns ``{"verdict", "entry" (title in the boot loader, or None), "kernel" (release, or None), "live_patch"
    (edition, or None), "initrd" (bool: its module is in there, or None), "purge": {"pending" (bool), "keep", "kept"
    (bool or None: the running kernel stays)}, "snapshot" (another one that would be mounted, or None), "reasons"}``.
    ``verdict`` is ``ok`` (it comes up live patched), ``failed`` (without a live patch, or with an older one than is
    active now) or ``unknown``. Starts one rpm and one lsinitrd, no zypper.

    CLI Example:

    .. code-block:: bash

        salt '*' klp_audit.reboot_safety
    """
    return klp_reboot.reboot_safety(_host())


def health(services=None, application=True):
    """
    Return what tells whether this host is well, without a judgement: the one who asks compares two moments.

    services
        list of str: services that have to run.
    application
        bool: start the commands of pillar ``klp:health`` and look at its services.

    Returns ``{"boot" (id of this boot), "log" (number of the kernel's newest message, or None), "errors" (the newest
    20 of the kernel log: [{"number", "text"}], or None), "tainted" (text), "services": {name: bool or None},
    "application" (what is not well of pillar klp:health, a list of sentences; None: not asked), "patience" (seconds
    that its commands may take together)}``.

    CLI Example:

    .. code-block:: bash

        salt '*' klp_audit.health
    """
    return klp_health.health(_host(), services, application)


def alarms():
    """
    Return what is wrong with this host now; changes nothing, starts no zypper.

    Returns ``{"raised": {alarm: sentence}, "unknown": {alarm: why it cannot be told}}``. Alarms are ``locks`` (a lock
    that was made here is gone), ``transition`` (stalled), ``window`` (over, or nearly), ``inactive`` (a live patch is
    installed, none is active), ``level`` (another one than installed or declared), ``taint`` (errors of the kernel) and
    ``live_patch_retracted`` (the vendor has withdrawn the live patch that is installed).

    CLI Example:

    .. code-block:: bash

        salt '*' klp_audit.alarms
    """
    return klp_alarms.alarms(_host())


def alarm_events():
    """
    Return what has changed about the alarms since this was called last: what the beacon reports.

    A list of ``{"alarm", "edge": "raised", "cleared", "unknown" or "repaired", "text"}``. What cannot be told within a
    second is reported once, and clears nothing. While a state run is at work nothing is looked at. Lost locks are set
    again if pillar ``klp:alarms:repair_locks`` says so, without waiting for the zypp lock. What was reported is in
    ``/var/lib/salt-klp/alarms.json``.

    CLI Example:

    .. code-block:: bash

        salt '*' klp_audit.alarm_events
    """
    return klp_alarms.events(_host())


def state_summary(run="", services=None, application=False):
    """
    Return how this host stands now; starts one rpm and no zypper.

    run
        str: id of the run or campaign that is asked about; empty: of none.
    services, application
        list of str, and bool: as for ``klp_audit.health``.

    Returns ``{"version": 3, "host", "time" (seconds since 1970), "kernel", "transition", "package" (live patch package
    of the running kernel), "live_patch" (edition installed, or None), "active" (module, or None), "unfinished" (bool),
    "held" (edition, or None), "restoring" (bool), "run": {"opened", "finished", "backup"} or None, "busy" (jobs that
    change this host), "health", "kernel_change": {"stage" (installing, installed, restarting, verified, failed, back or
    went_back), "from", "to" (releases), "edition", "live_patch" (edition), "fallback" (bool), "why" (sentences), "at"
    (seconds since 1970), "boot_id"} or None}``.

    CLI Example:

    .. code-block:: bash

        salt '*' klp_audit.state_summary
    """
    return klp_summary.state_summary(_host(), run, services, application)


def run_preview(kind="patch", level="previous", apart=""):
    """
    Return how this host stands and what a run would change; refreshes the repositories, changes nothing else.

    kind
        str: ``patch`` (SLS klp.patch), ``rollback`` (SLS klp.rollback) or ``kernel`` (SLS klp.kernel).
    level
        str or int, for a rollback: ``previous``, a number or an edition.
    apart
        str: name of a grain by which hosts are kept apart; empty: none.

    Returns what ``klp_audit.state_summary`` does, and ``"group"`` (pillar ``klp:group``, or None), ``"apart"`` (values
    of that grain), ``"changes"`` (``{package: new edition}``), ``"target"`` (edition of the live patch afterwards),
    ``"skipped"`` (what it would leave out, ``[{"reason", "advisories", "packages", "more" (number of names that are not
    told)}]``), ``"refusals"`` (sentences; none is the go-ahead), ``"seconds"`` (that the last run took, or None),
    ``"kernel_target"`` (None, or ``{"release", "edition", "live_patch" (edition), "package", "fallback" (bool),
    "window_last", "cves" (number)}``) and ``"code"`` (digest of salt-klp on this host). Where something would change,
    pillar ``klp:health`` is asked, too.

    CLI Example:

    .. code-block:: bash

        salt '*' klp_audit.run_preview
    """
    return dict(klp_summary.run_preview(_host(), kind, level, apart), code=klp_version.code(__opts__["hash_type"]))
