"""
What it takes to live patch a host at all: the second file of the module ``klp``.

:depends: ``zypper``, ``rpm``; ``SUSEConnect`` where the host is registered and the product is missing
:pillar: ``klp`` (see ``docs/reference/pillar.md``)
"""

import os

import salt.utils.path
from salt.exceptions import CommandExecutionError

__virtualname__ = "klp"

PRODUCTS = "/etc/products.d"
BY_HAND = (
    "product {0} has to be activated by hand: the SUSEConnect of this system takes no registration code from standard "
    "input, and none is given on a command line here; run: SUSEConnect --product {0} --regcode CODE"
)


def __virtual__():
    if "klp_register.products" not in __utils__:
        return False, "klp: _utils/klp_register.py is missing here, run saltutil.sync_all"
    if not salt.utils.path.which("zypper"):
        return False, "klp: command zypper not found, this is not a SUSE host"
    return __virtualname__


def _settings():
    return __utils__["klp_pillar.settings"](__pillar__.get("klp"))


def _parse(reader, text):
    try:
        return __utils__[reader](text)
    except ValueError as exc:
        raise CommandExecutionError(str(exc)) from exc


def _kernel():
    return _parse("klp_parse.kernel", os.uname().release)


def _connect(args, **kwargs):
    argv = ["SUSEConnect"] + args
    return __utils__["klp_cmd.run"](__salt__["cmd.run_all"], argv, timeout=600, **kwargs)["stdout"]


def settings():
    """
    Return the checked pillar of this host, without its secrets.

    Returns ``{"settings": {...}, "problems": [sentences], "locks": [packages to lock]}``; with problems the wrong
    values are the defaults, and of an unknown kernel there is nothing to lock. ``klp.obstacles`` refuses both. The word
    ``auto`` of product and tools is shown as what it means on this host.

    CLI Example::

        salt '*' klp.settings
    """
    found, problems = __utils__["klp_pillar.check"](__pillar__.get("klp"))
    try:
        locks = [] if problems else lock_list()
    except CommandExecutionError:
        locks = []
    shown = __utils__["klp_family.resolved"](__utils__["klp_pillar.public"](found), __salt__["klp.family"]())
    return {"settings": shown, "problems": problems, "locks": locks}


def lock_list():
    """
    Return the packages that have to be locked here: the kernel packages of the running flavour and pillar's extra ones.

    CLI Example::

        salt '*' klp.lock_list
    """
    extra, family = _settings()["locks"]["extra"], __salt__["klp.family"]()
    return __utils__["zypp_plan.lock_list"](_kernel()["flavour"], extra, family)


def unlocked():
    """
    Return, sorted, those of ``klp.lock_list`` that are not locked in every version.

    CLI Example::

        salt '*' klp.unlocked
    """
    wanted = lock_list()
    return sorted(set(wanted) - set(__salt__["zypper.locked"](wanted)))


def obstacles(refresh=False):
    """
    Return what speaks against live patching this host now, one sentence each; an empty list is the go-ahead.

    refresh
        also refresh the repositories and look whether all of them can be read (starts zypper), whether they have the
        live patch that pillar ``klp:level`` wants, and whether the klp tool is understood and agrees with the kernel;
        CommandExecutionError if not. The window of the kernel is looked at if pillar ``klp:window:refuse`` says so.

    Pillar, a restoration that waits for a reboot, the family of the host (``klp.family``), a read-only /usr, flavour
    and architecture, the kernel's live patching, the package of the running kernel, the settings of purge-kernels, and
    locks that would freeze the live patch are looked at without zypper.

    CLI Example::

        salt '*' klp.obstacles refresh=True
    """
    problems = settings()["problems"]
    if problems:
        return problems
    waiting = __salt__["root_backup.pending_restore"]()
    if waiting:
        return [
            f"backup {waiting['backup']} is being restored, what is changed now would be lost: restart the host first"
        ]
    refused = __salt__["klp.refusal"]()  # raises for a release of unknown form
    if refused:
        return [refused]
    __salt__["klp.status"]()  # raises where the kernel offers no live patching
    found = _kernel_problems() + _purge_problems() + _lock_problems()
    if refresh:
        found += __salt__["klp_audit.window_problems"]()
    if not found and refresh:
        __salt__["zypper.refresh"]()
        __salt__["klp.target"](_settings()["level"], search=False)
        found = _tool_problems() if salt.utils.path.which(__salt__["klp.family"]()["tool"]) else []
    return found


def _tool_problems():
    """The klp tool has to be understood, and to agree with the kernel, before anything is changed."""
    said = __salt__["klp.sources"]()
    checks = [
        __utils__["klp_checks.transition"](said["sysfs"], said["transition"], []),
        __utils__["klp_checks.active"](said["sysfs"], said["patches"]),
    ]
    return [item["detail"] for item in checks if item["verdict"] == "unknown"]


def _kernel_problems():
    kernel = _kernel()
    name = f"kernel-{kernel['flavour']}"
    editions = __salt__["klp.rpms"]().get(name, [])
    if __utils__["klp_checks.running_installed"](editions, kernel["version"]):
        return []
    there = ", ".join(editions) or "none"
    running = f"the package of the running kernel {kernel['release']} is not installed"
    return [f"{running} ({name}: {there}); reboot into an installed kernel first"]


def _purge_problems():
    """purge-kernels may remove the running kernel if the settings do not name it."""
    keep = __utils__["klp_sys.option"](__salt__["klp.family"]()["zypp_conf"], "main", "multiversion.kernels")
    tokens = [token.strip() for token in (keep or "").split(",") if token.strip()]
    kernel = _kernel()
    if not tokens or "running" in tokens or any(token.startswith(kernel["version"]) for token in tokens):
        return []
    return [f"zypp.conf: multiversion.kernels = {keep} lets purge-kernels remove the running kernel; add running to it"]


def _lock_problems():
    """A lock of somebody else may freeze what has to be installed."""
    names = [__utils__["klp_parse.package_name"](os.uname().release)] + __salt__["klp.tools"]()["packages"]
    ours = (__salt__["klp.held"]() or {"locks": []})["locks"]
    return [
        f"{__utils__['zypp_locks.describe'](lock)} freezes {name}; remove it or make it narrower"
        for lock in __salt__["zypper.locks"]()
        if not any(__utils__["zypp_locks.plain"](lock, item) for item in ours)
        for name in names
        if __utils__["zypp_locks.touches"](lock, name)
    ]


def enable(level="latest"):
    """
    Make this host live patched: product, tools, and the live patch package of the running kernel by its own name.

    level
        live patch level for a host that has none yet: ``latest``, a number or an edition.

    Returns ``{"changed": {name: {"old", "new"}}, "notes": [sentences]}``. Raises CommandExecutionError if something
    speaks against it, or if the kernel is not locked: a pattern may bring a new kernel otherwise.

    CLI Example::

        salt '*' klp.enable
    """
    problems = obstacles()
    if problems:
        raise CommandExecutionError("; ".join(problems))
    missing = unlocked()
    if missing:
        raise CommandExecutionError(
            f"lock the kernel packages first (zypper.add_locks), not locked: {', '.join(missing)}"
        )
    tools = __salt__["klp.tools_missing"]()
    here = __salt__["klp.package"]()
    name, edition = here["name"], here["edition"]
    if not tools and edition:
        return {"changed": {}, "notes": []}
    activated = _activate()
    if edition:
        done = __salt__["zypper.install"](tools)
    else:
        edition = __salt__["klp.target"](level)
        done = __salt__["klp.bring"](tools + [f"{name}={edition}"], edition)
    return dict(done, notes=activated + done["notes"])


def _activate():
    """Activate the product of the live patches where the host is registered and lacks it."""
    product, code = missing_product(), _settings()["product"]["regcode"]
    if not product:
        return []
    if code and not __salt__["klp.family"]()["code"]:
        raise CommandExecutionError(BY_HAND.format(product))
    _connect(["--product", product] + (["--regcode", "-"] if code else []), stdin=code, secrets=[code] if code else [])
    return [f"product {product} activated"]


def missing_product():
    """
    Return the product that ``klp.enable`` has to activate here, ``NAME/VERSION/ARCH``, or ``None``.

    Nothing is to be activated on a host without SUSEConnect or registration. Source: SUSEConnect(8).

    CLI Example::

        salt '*' klp.missing_product
    """
    name = __salt__["klp.product"]()
    if not name or os.path.exists(f"{PRODUCTS}/{name}.prod") or not salt.utils.path.which("SUSEConnect"):
        return None
    status = _connect(["--status"], quiet=True)
    return __utils__["klp_register.missing"](_parse("klp_register.products", status), name)


def goal(level="latest", search=False):
    """
    Return what the steady state brings: ``{"live patch": edition, "module"}``.

    level, search
        as for ``klp.target``.

    Where the product has yet to be activated, which ``klp.enable`` does first, nobody knows the edition: both are then
    one clause that says so.

    CLI Example::

        salt '*' klp.goal
    """
    product = None if search or __salt__["klp.package"]()["edition"] else missing_product()
    if product:
        clause = f"level {level}, once the product {product} is activated"
        return {"live patch": clause, "module": clause}
    edition = __salt__["klp.target"](level, search)
    return {"live patch": edition, "module": __salt__["klp.module"](edition)}
