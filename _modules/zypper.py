"""
Packages, advisories and package locks of SUSE hosts, by zypper and rpm.

Reads are nouns and change nothing; writes are imperatives, read a dry run first, change nothing while a transition of a
live patch runs, and return what they changed.

:depends: ``zypper``, ``rpm``
:pillar: ``klp:update``, ``klp:zypper`` (see ``docs/reference/pillar.md``)
"""

VERSION = "0.2.0"
try:
    import klp_fresh

    klp_fresh.renew()
    import klp_host
    import klp_preflight
    import klp_sources
    import klp_updates
    import klp_version
    import zypp_cmd
    import zypp_lockfile
    import zypp_packages
    import zypp_solver
    import zypp_write

    PROBLEM = klp_version.problem(VERSION, __file__)
except ImportError as exc:
    CURE = "install salt-klp again with pip" if "saltext" in __file__ else "run saltutil.sync_all"
    PROBLEM = f"salt-klp: {exc}: {CURE}"


def __virtual__():
    wrong = PROBLEM or klp_host.foreign()
    return (False, wrong) if wrong else True


def _host():
    return klp_host.of(__salt__, __pillar__, __grains__)


def packages():
    """
    Return all installed packages as ``{name: "edition,edition"}``. Source: rpm(8).

    CLI Example:

    .. code-block:: bash

        salt '*' zypper.packages
    """
    return zypp_packages.packages(_host())


def needs_rebooting():
    """
    Return whether an installed package asked for a reboot since the host was started (bool).

    The flag file of libzypp is what ``zypper needs-rebooting`` reads; no zypper is started. Source: zypper(8).

    CLI Example:

    .. code-block:: bash

        salt '*' zypper.needs_rebooting
    """
    return zypp_packages.needs_rebooting()


def refresh():
    """
    Refresh the metadata of all enabled repositories; one that cannot be read is an error that names it.

    Returns the list of refreshed repositories. Source: zypper(8) refresh.

    CLI Example:

    .. code-block:: bash

        salt '*' zypper.refresh
    """
    return zypp_solver.refresh(_host())


def advisories():
    """
    Return the needed advisories ("patches"), those that wait for the update stack included.

    A list of dicts with ``id``, ``status``, ``category``, ``severity``, ``reboot``, ``stack``, ``summary``,
    ``repository``, ``cves``. Raises CommandExecutionError where no enabled repository has updates of what is installed:
    then nothing is known of pending ones. Source: zypper(8) list-updates.

    CLI Example:

    .. code-block:: bash

        salt '*' zypper.advisories
    """
    return klp_sources.advisories(_host())


def editions(name):
    """
    Return the editions of a package in the repositories, newest first.

    name
        str: name of the package.

    A list of dicts with ``edition``, ``installed`` (bool) and ``repository``; empty where no repository has it.
    Source: zypper(8) search.

    CLI Example:

    .. code-block:: bash

        salt '*' zypper.editions kernel-livepatch-5_14_21-150500_55_7-default
    """
    return zypp_solver.editions(_host(), name)


def dry_run(names, command="install"):
    """
    Return what zypper would do, by a dry run.

    names
        list of str: packages, ``NAME=EDITION`` allowed.
    command
        str: ``install``, ``update`` or ``downgrade`` (``install --oldpackage``).

    Returns ``install``, ``upgrade``, ``downgrade``, ``remove``, ``reinstall``, ``change-arch``, ``change-vendor``, each
    a list of ``{"name", "kind", "edition", "old"}``, and ``nothing`` (bool). Raises CommandExecutionError for a problem
    of the solver.

    CLI Example:

    .. code-block:: bash

        salt '*' zypper.dry_run '[curl]' command=update
    """
    return zypp_solver.dry_run(_host(), names, command)


def pending(update=None):
    """
    Return what ``zypper.update`` would install now, and what it would leave out and why.

    update
        dict: settings below pillar ``klp:update``; default: the pillar's.

    Returns ``{"advisories": [ids], "packages": {name: {"old", "new"}}, "unfinished": {name: edition that was cut off},
    "skipped": [{"item", "kind", "reason"}]}``.

    CLI Example:

    .. code-block:: bash

        salt '*' zypper.pending
    """
    found = klp_updates.plan(_host(), update)
    return {key: found[key] for key in ("advisories", "packages", "unfinished", "skipped")}


def update(update=None):
    """
    Install all pending updates but kernel and live patch, by the editions of one plan.

    update
        dict: settings below pillar ``klp:update``; default: the pillar's.

    Returns ``{"changed": {name: {"old", "new"}}, "skipped": [...], "notes": [sentences]}``. Packages that drag in a
    kernel, or a reboot that is not allowed, are left out. Raises CommandExecutionError before anything is installed if
    something speaks against it (``klp.preflight``) or the kernel is not locked, and afterwards if something planned is
    not installed.

    CLI Example:

    .. code-block:: bash

        salt '*' zypper.update
    """
    host = _host()
    with host.exclusive("zypper.update"):
        klp_updates.settings(host, update)  # a wrong argument is told before anything else
        klp_preflight.require(host)
        klp_preflight.require_locked(host)
        return klp_updates.update(host, update)


def install(names, force=False, older=False):
    """
    Install packages or patterns, after a dry run that holds no kernel and nothing that asks for a reboot.

    names
        list of str: packages; ``NAME=EDITION`` and ``pattern:NAME`` allowed.
    force
        bool: install again what is there already (its scriptlets run again).
    older
        bool: let ``NAME=EDITION`` go back to an earlier edition.

    Returns ``{"changed": {name: {"old", "new"}}, "notes": [sentences]}``. Raises CommandExecutionError while a
    transition runs, and if a package is not installed afterwards: zypper's exit code alone proves nothing.

    CLI Example:

    .. code-block:: bash

        salt '*' zypper.install '[kernel-livepatch-tools]'
    """
    host = _host()
    with host.exclusive("zypper.install"):
        return zypp_write.install(host, zypp_cmd.check_names(names), force=force, older=older)


def remove(names):
    """
    Remove packages, after a dry run that holds nothing but them and no kernel.

    names
        list of str: package names; what is not installed is left out.

    Returns ``{"changed": {name: {"old", "new"}}, "notes": [sentences]}``. Raises CommandExecutionError where a lock
    keeps one of them, if anything else would go, while a transition runs, and if a package is still installed
    afterwards: zypper's exit code alone proves nothing.

    CLI Example:

    .. code-block:: bash

        salt '*' zypper.remove '[dkms-agent]'
    """
    host = _host()
    with host.exclusive("zypper.remove"):
        return zypp_write.remove(host, names)


def locks():
    """
    Return the records of the lock file, read without zypper.

    A list of dicts with ``package``, ``type``, ``match_type``, ``case_sensitive``, ``version``, ``repo``, ``comment``,
    ``other`` and ``line``. No file is no lock; a file that cannot be read is an error. Source: locks(5), measured.

    CLI Example:

    .. code-block:: bash

        salt '*' zypper.locks
    """
    return zypp_lockfile.locks()


def add_locks(names):
    """
    Lock packages, and check that each lock bites.

    names
        list of str: package names (no globs), to be kept in every version; ``NAME>EDITION`` keeps only what is newer
        from coming, ``patch:ID`` an advisory.

    Returns the list of those that were not locked before. Other locks stay. Raises CommandExecutionError where a lock
    does not bite afterwards. Source: zypper(8) addlock; its exit code says nothing (measured).

    CLI Example:

    .. code-block:: bash

        salt '*' zypper.add_locks '[kernel-default, kernel-default-base]'
    """
    host = _host()
    with host.exclusive("zypper.add_locks"):
        return zypp_lockfile.add(host, names)


def remove_locks(names):
    """
    Take away locks that ``zypper.add_locks`` made; locks of others stay.

    names
        list of str: what ``zypper.add_locks`` takes.

    Returns the list of those that were taken away. Raises CommandExecutionError where a lock stays.

    CLI Example:

    .. code-block:: bash

        salt '*' zypper.remove_locks '[kernel-default]'
    """
    host = _host()
    with host.exclusive("zypper.remove_locks"):
        return zypp_lockfile.remove(host, names)
