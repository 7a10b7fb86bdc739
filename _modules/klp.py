"""
Kernel live patches of SUSE Linux Enterprise hosts: what is active, what holds it up, bringing in and going back.

Reads are nouns and change nothing; writes are imperatives, make the checks that the states make, and return what they
changed. What each family of hosts has is one table (``docs/reference/hosts.md``).

:depends: ``zypper``, ``rpm``; ``klp`` (on SLES 12 ``kgr``) for patches, blockers and verify; ``rmmod``; ``SUSEConnect``
    where the host is registered and the product is missing; ``lsinitrd`` for what the next boot loads
:pillar: ``klp`` (see ``docs/reference/pillar.md``)
"""

VERSION = "0.2.0"
try:
    import klp_fresh

    klp_fresh.renew()
    import klp_disable
    import klp_enable
    import klp_hold
    import klp_host
    import klp_install
    import klp_level
    import klp_live
    import klp_preflight
    import klp_rollback
    import klp_updates
    import klp_verify
    import klp_version

    PROBLEM = klp_version.problem(VERSION, __file__)
except ImportError as exc:
    CURE = "install salt-klp again with pip" if "saltext" in __file__ else "run saltutil.sync_all"
    PROBLEM = f"salt-klp: {exc}: {CURE}"


def __virtual__():
    wrong = PROBLEM or klp_host.foreign()
    return (False, wrong) if wrong else True


def _host():
    return klp_host.of(__salt__, __pillar__, __grains__, opts=__opts__)


def version():
    """
    Return the version of salt-klp on this host (str); modules and utils have the same.

    CLI Example:

    .. code-block:: bash

        salt '*' klp.version
    """
    return VERSION


def status():
    """
    Return what the kernel says, read from sysfs without a program.

    Returns ``{"kernel", "transition" (ready or in_progress), "active" (name or None), "patches": [{"name", "enabled",
    "transition"}]}``; while a transition runs, ``active`` is the live patch that comes. Raises CommandExecutionError
    where the kernel offers no live patching. Source: sysfs-kernel-livepatch.

    CLI Example:

    .. code-block:: bash

        salt '*' klp.status
    """
    return klp_live.status(_host())


def patches():
    """
    Return the live patches that the ``klp`` tool knows, with what they fix.

    A list of ``{"name", "active" (bool), "rpm" (name-edition or None), "cves" (list)}``. Raises CommandExecutionError
    for an answer that is not understood. Source: klp(8).

    CLI Example:

    .. code-block:: bash

        salt '*' klp.patches
    """
    return klp_live.patches(_host())


def blockers():
    """
    Return the tasks that hold a transition up; asked of the tool only while one runs.

    A list of ``{"pid", "command", "comm", "unit", "package", "state", "stack"}``, unknown ones ``None``;
    at most the first 20. Source: klp(8), proc(5).

    CLI Example:

    .. code-block:: bash

        salt '*' klp.blockers
    """
    return klp_live.blockers(_host())


def wait(timeout=None):
    """
    Wait until no transition runs.

    timeout
        int, seconds; default: pillar ``klp:transition:timeout``.

    Returns ``{"transition": "ready", "seconds": S}``. Raises CommandExecutionError at the deadline, with the blockers.
    Nothing is forced, and nothing is sent to the tasks.

    CLI Example:

    .. code-block:: bash

        salt '*' klp.wait timeout=120
    """
    return klp_live.wait(_host(), timeout)


def package():
    """
    Return the live patch package of the running kernel: ``{"name", "edition", "level", "unfinished" (bool)}``.

    Edition and level are ``None`` where it is not installed. ``unfinished``: its installation was begun and not seen to
    end, as after a kill or a power cut; the initrd may lack it, or the one before is still there. ``klp.install``
    mends that.

    CLI Example:

    .. code-block:: bash

        salt '*' klp.package
    """
    return klp_live.package(_host())


def available():
    """
    Return the live patches for the running kernel in the repositories, newest first.

    A list of ``{"edition", "level", "installed", "repository", "retracted" (bool: its vendor has withdrawn it; None
    where that is not known)}``. Raises CommandExecutionError where no enabled repository has updates of live patches:
    then nothing is known of newer ones. Source: zypper(8) search; the status of advisories in updateinfo.xml.

    CLI Example:

    .. code-block:: bash

        salt '*' klp.available
    """
    return klp_level.offered(_host())


def settings():
    """
    Return the checked pillar of this host, without its secrets.

    Returns ``{"settings": {...}, "problems": [sentences], "locks": [packages to lock], "unsupported" (why this host is
    not live patched at all, or None)}``; with problems the wrong values are the defaults, and of an unknown kernel
    there is nothing to lock. ``klp.preflight`` refuses both. The word ``auto`` of product and tools is shown as what it
    means on this host.

    CLI Example:

    .. code-block:: bash

        salt '*' klp.settings
    """
    return klp_preflight.settings(_host())


def preflight(refresh=False):
    """
    Return what speaks against live patching this host now, one sentence each; an empty list is the go-ahead.

    refresh
        bool: look at all that a maintenance run (SLS ``klp.patch``) needs. The repositories are refreshed, and have to
        have the live patch that pillar ``klp:level`` wants; the klp tool has to be understood and to agree with the
        kernel; the support window is looked at as pillar ``klp:window:refuse`` says; where locks have yet to be set,
        the backend of the backup has to be able to make one. Starts zypper.

    Without it no zypper is started: pillar, a restoration that waits for a restart, the family of the host, a read-only
    /usr, flavour and architecture, the kernel's live patching, the package of the running kernel, the settings of
    purge-kernels, and locks that would freeze the live patch; where a live patch has yet to come, LIVEPATCH_KERNEL and
    the room in /boot. Raises CommandExecutionError where one of these cannot be found out.

    CLI Example:

    .. code-block:: bash

        salt '*' klp.preflight refresh=True
    """
    host = _host()
    return klp_preflight.maintenance_problems(host) if refresh else klp_preflight.problems(host)


def pending():
    """
    Return what SLS ``klp.patch`` would install now, the live patch included, and what it would leave out.

    A live patch that is installed and not in the kernel is among the packages: it is installed again.

    Returns ``{"packages": {name: {"old", "new"}}, "locks": [kernel packages that are not locked yet], "unfinished":
    {name: edition that was cut off}, "skipped": [{"item", "kind", "reason"}]}``. Source: zypper(8).

    CLI Example:

    .. code-block:: bash

        salt '*' klp.pending
    """
    host = _host()
    found = klp_updates.plan(host, level=host.settings["level"])
    answer = {key: found[key] for key in ("unfinished", "skipped")}
    packages = dict(found["packages"], **dict(found["live_patch"], **found["reload"]))
    return dict(answer, packages=packages, locks=klp_preflight.unlocked(host))


def enable(level="latest"):
    """
    Make this host live patched: product, tools, and the live patch package of the running kernel by its own name.

    level
        str or int: live patch level for a host that has none yet: ``latest``, a number or an edition.

    Returns ``{"changed": {name: {"old", "new"}}, "notes": [sentences]}``. Raises CommandExecutionError if something
    speaks against it, or if the kernel is not locked: a pattern may bring a new kernel otherwise.

    CLI Example:

    .. code-block:: bash

        salt '*' klp.enable
    """
    host = _host()
    with host.exclusive("klp.enable"):
        return klp_enable.enable(host, level)


def install(level="latest"):
    """
    Bring in a live patch of the running kernel. Its transition starts; ``klp.wait`` waits for the end.

    level
        str or int: ``latest``, a number or an edition, not lower than what is installed.

    Returns ``{"changed": {name: {"old", "new"}}, "notes": [sentences]}``. Raises CommandExecutionError for what
    ``klp.preflight`` tells, while a transition runs, for a level that is nowhere, below what is installed or held back,
    and if the kernel has not taken the module.

    CLI Example:

    .. code-block:: bash

        salt '*' klp.install latest
    """
    host = _host()
    with host.exclusive("klp.install"):
        return klp_install.install(host, level)


def downgrade(level=None, force=None):
    """
    Go back to an earlier live patch of the running kernel and hold it; ``klp.wait`` waits for its transition.

    level
        str or int: ``previous``, a number or an edition; default: pillar ``klp:rollback:level``. On a host that is held
        already ``previous`` is what it is held at: the same command again does not go further down.
    force
        bool: go back although kernel log or taint tell of earlier kernel errors; default: pillar
        ``klp:rollback:force``.

    Returns ``{"changed": {name: {"old", "new"}}, "notes": [sentences]}``. Raises CommandExecutionError before anything
    is changed: while a transition runs, after kernel errors, where there is no earlier one, if zypper would change more
    than this package; afterwards if the kernel has not taken the module. Interrupted anywhere, the same call finishes.
    Source: zypper(8) install --oldpackage, addlock; measured.

    CLI Example:

    .. code-block:: bash

        salt '*' klp.downgrade
    """
    host = _host()
    with host.exclusive("klp.downgrade"):
        return klp_rollback.downgrade(host, level, force)


def held():
    """
    Return the live patch that this host is held at since it went back, or ``None``.

    A dict: ``package``, ``edition`` (the newest that may come), ``from`` (edition before), ``since`` (seconds since
    1970), ``locks`` (what keeps newer ones away).

    CLI Example:

    .. code-block:: bash

        salt '*' klp.held
    """
    return klp_hold.held()


def hold():
    """
    Renew the locks that keep newer live patches away from a host that went back; new advisories may have come since.

    Returns the list of locks that were added; empty on a host that is not held.

    CLI Example:

    .. code-block:: bash

        salt '*' klp.hold
    """
    host = _host()
    with host.exclusive("klp.hold"):
        return klp_hold.hold(host)


def unhold():
    """
    Let newer live patches come to a host that went back: its own locks go, and the next ``klp.patch`` brings them.

    Returns ``{"edition" (it was held at, or None), "locks": [taken away], "notes": [sentences]}``. Locks of others
    stay, and are told if they keep newer ones away.

    CLI Example:

    .. code-block:: bash

        salt '*' klp.unhold
    """
    host = _host()
    with host.exclusive("klp.unhold"):
        return klp_hold.unhold(host)


def disable():
    """
    End live patching: remove the packages, end a hold, take our locks away, as pillar ``klp:disable`` says.

    The live patch that is loaded stays in the kernel until the next restart. Locks of others stay. No backup is made:
    ``state.apply klp`` brings everything back.

    Returns ``{"changed": {name: {"old", "new"}}, "notes": [sentences]}``; ``locked`` and ``held`` stand among the names
    of the packages. Raises CommandExecutionError before anything is changed while a transition runs, and if anything
    but these packages would go.

    CLI Example:

    .. code-block:: bash

        salt '*' klp.disable
    """
    host = _host()
    with host.exclusive("klp.disable"):
        return klp_disable.disable(host)


def verify():
    """
    Compare what rpm, sysfs and the klp tool say about this host, and what a restart would find.

    Returns ``{"verdict", "kernel", "live_patch" (edition or None), "cves" (list), "checks": [{"check", "verdict",
    "detail"}]}``. ``verdict`` is ``ok``, ``blocked``, ``reboot_needed``, ``unsupported``, ``failed`` or ``unknown``;
    with any but ``ok`` the return code of the job is not 0. Source: the checks of SUSE's kernel QA (openQA,
    lib/klp.pm).

    CLI Example:

    .. code-block:: bash

        salt '*' klp.verify
    """
    found = klp_verify.verify(_host())
    if found["verdict"] != "ok":
        __context__["retcode"] = 1
    return found
