"""
What it takes to live patch a host at all: the product, the tools, and a live patch package of the running kernel.

Source: SUSEConnect(8).
"""

import os

import salt.utils.path
from salt.exceptions import CommandExecutionError

import klp_cmd
import klp_install
import klp_kernel
import klp_level
import klp_live
import klp_paths
import klp_preflight
import klp_register
import zypp_begun
import zypp_write

STATUS, ACTIVATION = 50, 600  # seconds; an activation refreshes repositories and installs the release package
BY_HAND = (
    "product {0} has to be activated by hand: the SUSEConnect of this system takes no registration code from standard "
    "input, and none is given on a command line here; run: SUSEConnect --product {0} --regcode CODE"
)


def goal(host, level="latest", search=False):
    """
    Return what is to be in the kernel: ``{"edition", "module", "product" (to activate before, or None)}``.

    level, search
        as for ``klp_level.resolve``.

    Where the product has yet to be activated, the edition is not known: edition and module are ``None``.
    """
    product = None if search or klp_live.package(host)["edition"] else missing_product(host)
    if product:
        return {"edition": None, "module": None, "product": product}
    edition = klp_level.resolve(host, level, search)
    return {"edition": edition, "module": host.module(edition), "product": None}


def enable(host, level="latest"):
    """Make this host live patched, see ``enable_goal``."""
    _permitted(host)
    return enable_goal(host, level, goal(host, level))


def enable_goal(host, level, wanted):
    """
    Make this host live patched: product, tools, and the live patch package of the running kernel by its own name.

    level
        for a host that has no live patch yet.
    wanted
        ``goal``; its edition is what is installed, resolved anew only where the product has been activated before.

    Returns ``{"changed", "notes"}``. Raises CommandExecutionError for what ``klp_preflight.problems`` tells, and if the
    kernel is not locked: a pattern may bring a new kernel otherwise.
    """
    _permitted(host)
    kernel = klp_kernel.complete(host) if klp_kernel.missing(host) else {"changed": {}, "notes": []}
    done = _enable(host, level, wanted)
    return {"changed": dict(kernel["changed"], **done["changed"]), "notes": kernel["notes"] + done["notes"]}


def missing_tools(host):
    """Return what has to be installed besides the live patch: the kernel that it requires, and the tools."""
    return klp_kernel.missing(host) + klp_live.missing_tools(host)


def _enable(host, level, wanted):
    tools, package = klp_live.missing_tools(host), klp_live.package(host)
    again = [f"{name}={edition}" for name, edition in unfinished_tools(host).items()]
    if not tools and not again and package["edition"]:
        return {"changed": {}, "notes": []}
    if package["edition"]:
        notes = _activate(host, missing_product(host) if tools else None)
        done = zypp_write.install(host, tools + again, force=bool(again))
    else:
        notes = _activate(host, wanted["product"])
        edition = wanted["edition"] or klp_level.resolve(host, level)
        names = tools + again + [f"{package['name']}={edition}"]
        done = klp_install.bring(host, names, edition, force=bool(again))
    return dict(done, notes=notes + done["notes"])


def _permitted(host):
    klp_preflight.require(host)
    klp_preflight.require_locked(host)


def unfinished_tools(host):
    """Return those of the tools whose installation was begun and not seen to end: ``{name: edition}``."""
    names = host.tools["packages"]
    return {name: edition for name, edition in zypp_begun.unfinished(host).items() if name in names}


def _activate(host, product):
    """Activate the product of the live patches where the host is registered and lacks it."""
    code = host.settings["product"]["regcode"]
    if not product:
        return []
    if code and not host.family["code"]:
        raise CommandExecutionError(BY_HAND.format(product))
    args = ["--product", product] + (["--regcode", "-"] if code else [])
    res = _connect(host, args, ACTIVATION, stdin=code, secrets=_secrets(host))
    host.fresh = False  # its repositories are new
    host.forget("product")
    if res["retcode"]:
        hand = "" if host.family["code"] else BY_HAND.format(product)
        raise CommandExecutionError(klp_register.refusal(args, res, bool(code), hand))
    return [f"product {product} activated"]


def _secrets(host):
    code = host.settings["product"]["regcode"]
    return [code] if code else []


def _connect(host, args, timeout, **kwargs):
    return host.run(["SUSEConnect"] + args, ok=None, timeout=timeout, **kwargs)


def missing_product(host):
    """
    Return the product that has to be activated here, ``NAME/VERSION/ARCH``, or ``None``.

    Nothing is to be activated on a host without SUSEConnect or registration.
    """
    name = host.product
    installed = os.path.exists(f"{klp_paths.PRODUCTS}/{name}.prod")
    if not name or installed or not salt.utils.path.which("SUSEConnect"):
        return None
    found = host.kept("product", [f"{klp_paths.PRODUCTS}/*", klp_paths.CREDENTIALS], lambda: _status(host, name))
    if found["error"]:
        raise CommandExecutionError(found["error"])
    return found["missing"]


def _status(host, name):
    """Ask SUSEConnect once in a run, and keep what went wrong as well: it may have taken all of its time."""
    try:
        res = _connect(host, ["--status"], STATUS, quiet=True, secrets=_secrets(host))
        if res["retcode"]:
            return {"error": klp_register.refusal(["--status"], res), "missing": None}
        products = klp_cmd.parsed(klp_register.products, res["stdout"])
    except CommandExecutionError as exc:
        return {"error": str(exc), "missing": None}
    return {"error": None, "missing": klp_register.missing(products, name)}
