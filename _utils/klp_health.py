"""
Signs of trouble on a host: errors of the kernel, services that do not run.

Source: the kernel's admin-guide/tainted-kernels and ABI/testing/dev-kmsg.
"""

import re

import salt.utils.systemd
from salt.exceptions import CommandExecutionError, SaltInvocationError

import klp_checks
import klp_paths
import klp_restoring
import klp_sys

SERVICE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:@\\-]{0,255}\Z")  # nothing that a program takes for an option


def kernel_errors():
    """
    Return what kernel log and taint tell of errors since the start of the host, one sentence each; empty: none.

    What cannot be read counts as an error: nobody knows then.
    """
    try:
        log = [text for _, text in klp_sys.kernel_log()]
    except OSError as exc:
        return [f"the kernel log cannot be read ({exc})"]
    return klp_checks.kernel_errors(klp_sys.text(klp_paths.TAINTED), log)


def _log():
    """Return the number of the newest message of the kernel and the errors among them; ``None`` is "not known"."""
    try:
        log = klp_sys.kernel_log()
    except OSError:
        return None, None
    return max((number for number, _ in log), default=0), klp_checks.trouble(log)


def _service(host, name):
    """Return whether a service runs; ``None`` where this host cannot tell: without systemd Salt looks for processes."""
    if "service.status" not in host.salt or not salt.utils.systemd.booted():
        return None
    try:
        found = host.salt["service.status"](name)
    except CommandExecutionError:
        return None
    return found if isinstance(found, bool) else None


def health(host, services=None):
    """Return what tells whether this host is well, without a judgement: the one who asks compares two moments."""
    names = [] if services is None else services
    if not isinstance(names, list) or not all(isinstance(item, str) and SERVICE.match(item) for item in names):
        raise SaltInvocationError(f"services: wanted a list of names, found {services!r}")
    newest, errors = _log()
    return {
        "boot": klp_restoring.boot_id() or None,
        "log": newest,
        "errors": errors,
        "tainted": (klp_sys.text(klp_paths.TAINTED) or "").strip() or None,
        "services": {name: _service(host, name) for name in names},
    }
