"""
Campaigns: patching a fleet in gated waves, shown before they are run, from a journal that survives anything.

Each function returns ``{"retcode", "text", ...}``. ``salt-run`` shows the text and exits with the code, ``--out=json``
gives the whole document: 0 all is done and verified, 1 refused (nothing was changed), 2 over, but not every host of the
target is verified, 3 a gate failed and the campaign stopped, 4 aborted, 5 paused, 6 it runs, 7 its time was over, 8 a
plan that waits to be run, 9 it waits to be resumed, and the text says for what, 10 of a host it is not known.

:pillar: ``klp_campaign`` and ``klp_report`` of the master (see ``docs/reference/campaign.md`` and ``report.md`` there)
"""

import functools
import importlib
import inspect
import os

from salt.exceptions import CommandExecutionError, SaltInvocationError

VERSION = "0.2.0"
try:
    import klp_fresh

    klp_fresh.renew()
    import klp_checks  # noqa: F401 - for its parts: nothing finds a util any more when they are imported
    import klp_digest  # noqa: F401 - the same
    import klp_family  # noqa: F401 - the same
    import klp_pillar
    import klp_version
    import klp_words  # noqa: F401 - the same
    import zypp_plan  # noqa: F401 - the same

    PROBLEM = klp_version.problem(VERSION, __file__)
except ImportError as exc:
    CURE = (
        "install salt-klp again with pip"
        if "saltext" in __file__
        else "install it again on this master: make install, or its RPM"
    )
    PROBLEM = f"salt-klp: {exc}: {CURE}"

# The folder beside this file holds the parts. It has no __init__.py: Salt's loader would take it for a runner, and
# breaks when it loads a package for the second time in one process, as every orchestration does (measured).
__path__ = [os.path.join(os.path.dirname(os.path.abspath(__file__)), "klp")]


def __virtual__():
    return (False, PROBLEM) if PROBLEM else True


def _part(name):
    """Return one of the parts; at the top of this file it could not be imported, nothing finds it yet then."""
    return importlib.import_module(f"{__name__}.{name}")


def _answered(found):
    __context__["retcode"] = found["retcode"]
    return found


def _call(method, *args):
    """Call one of the commands; what it refuses is answered in one sentence, and so are Ctrl-C and other signals."""
    commands = None
    try:
        commands = _part("survey").Survey(__opts__, klp_pillar.compare, __salt__["mine.get"])
        return _answered(getattr(commands, method)(*args))
    except (CommandExecutionError, SaltInvocationError) as exc:
        return _answered(_part("outcome").refusal(exc))
    except (KeyboardInterrupt, SystemExit):  # Salt's own handlers make the second of both, and print a traceback
        return _answered(_part("outcome").stopped(commands.driving if commands else []))


def _strict(function):
    """Refuse arguments that a function does not have: Salt shows its documentation for them, and exits with 0."""
    signature = inspect.signature(function)

    @functools.wraps(function)
    def strict(*args, **kwargs):
        given = {key: value for key, value in kwargs.items() if not key.startswith("__")}  # the others are Salt's own
        try:
            bound = signature.bind(*args, **given)
        except TypeError:
            sentence = _part("outcome").misuse(function.__name__, signature.parameters, args, given)
            return _answered(_part("outcome").refusal(sentence))
        return function(*bound.args, **bound.kwargs)

    vars(strict).pop("__wrapped__")  # Salt looks at the signature, and never hands over what is not in there
    return strict


def _who():
    """Return who gives the order: as Salt knows it of external auth or the API, else as the command line does."""
    return _part("commands").user(globals().get("__user__"))


@_strict
def version():
    """
    Return the version of salt-klp on this master, what the file server gives of it to minions, and what is wrong there.

    Returns ``version``, ``runner`` (path), ``served`` (per environment and part the number of files) and ``problems``
    (sentences); exit code 1 if there is one. What a host has: ``salt '*' klp.version``.

    CLI Example:

    .. code-block:: bash

        salt-run klp.version
    """
    try:
        return _answered(_part("serving").version(__opts__, __file__))
    except (CommandExecutionError, SaltInvocationError) as exc:
        return _answered(_part("outcome").refusal(exc))


@_strict
def plan(kind="patch", pillar=None, week=None, cve=None):
    """
    Ask the hosts of a campaign what they would get, and write the plan down; nothing is changed on them.

    kind
        str: ``patch`` (SLS klp.patch), ``rollback`` (SLS klp.rollback, to pillar ``klp_campaign:level``) or ``kernel``
        (SLS klp.kernel; hosts are restarted only with pillar ``klp_campaign:reboot``).
    pillar
        dict with the key ``klp_campaign``, merged over the pillar of the master.
    week
        str: ISO week such as ``2027-W03``, for kind ``kernel``: only those hosts of the target that the report proposes
        to restart in it (pillar ``klp_report``, as for ``klp.report``). ``week`` of the answer has these hosts, and
        those whose week is unknown.
    cve
        str: CVE such as ``CVE-2026-31431``: only those hosts of the target where this plan closes it, by a newer live
        patch or by the next kernel (kind ``kernel``), as ``klp.cve`` knows them. ``cve`` of the answer has these hosts,
        and those of which that is unknown.

    Returns the plan as ``plan``: per wave the hosts and the seconds expected, per host what it would get, and who is
    left out and why; its ``id`` is what ``klp.run`` wants. Repositories of the hosts are refreshed, and the modules of
    the file root are sent to them (pillar ``klp_campaign:sync``).

    CLI Example:

    .. code-block:: bash

        salt-run klp.plan
        salt-run --out=json klp.plan
        salt-run klp.plan kernel week=2027-W03
        salt-run klp.plan cve=CVE-2026-31431
    """
    return _call("plan", kind, pillar, _who(), week, cve)


@_strict
def run(campaign=None, kind=None, pillar=None, wait=True):
    """
    Run a plan that was shown, wave by wave, until it is over; the same command again goes on where it was interrupted.

    campaign
        str: id of a plan. Without one a plan is made, and run only if pillar ``klp_campaign:approve`` is false.
    kind, pillar
        str and dict: as for ``klp.plan``, for a plan that is made; a plan that was shown has its own, and another kind
        is refused.
    wait
        bool. ``False``: begin the campaign, leave it to the engine ``klp_campaign`` of this master and return at once,
        with exit code 6. Refused where no such engine runs.

    Returns how the campaign stands as ``campaign``. Refused while another campaign has one of its hosts, for a plan
    that is too old, or whose file is not what was shown.

    CLI Example:

    .. code-block:: bash

        salt-run klp.run c3f2a9c01d4e
        salt-run klp.run c3f2a9c01d4e wait=False
    """
    return _call("run", campaign, kind, pillar, _who(), wait)


@_strict
def status(campaign=None, watch=0):
    """
    Return how a campaign stands, by wave and by host, or all of them in a line each; also while it runs.

    campaign
        str: id of a plan or campaign.
    watch
        int, seconds: show it again and again, until it is over.

    CLI Example:

    .. code-block:: bash

        salt-run klp.status
        salt-run klp.status c3f2a9c01d4e watch=5
    """
    return _call("status", campaign, watch)


@_strict
def pause(campaign):
    """
    Start no further host of a campaign; what runs is finished. No host is started after this returns.

    campaign
        str: id of the campaign.

    CLI Example:

    .. code-block:: bash

        salt-run klp.pause c3f2a9c01d4e
    """
    return _call("wish", campaign, "pause", _who())


@_strict
def resume(campaign=None, wait=True):
    """
    Go on with a campaign that was paused or interrupted, and drive it until it is over.

    campaign
        str: id; without one all that are not over, not paused and driven by nobody, also those that become so
        meanwhile: what the master's scheduler runs.
    wait
        bool. ``False``: leave it to the engine ``klp_campaign`` of this master and return at once, with exit code 6.

    Jobs that still run on hosts are waited for, answers that nobody heard are looked up; no step is done twice.

    CLI Example:

    .. code-block:: bash

        salt-run klp.resume c3f2a9c01d4e
        salt-run klp.resume
    """
    return _call("resume", campaign, _who(), wait)


@_strict
def abort(campaign):
    """
    End a campaign: no further host is started, what runs is finished, nothing goes back.

    campaign
        str: id of the campaign.

    CLI Example:

    .. code-block:: bash

        salt-run klp.abort c3f2a9c01d4e
    """
    return _call("wish", campaign, "abort", _who())


@_strict
def set_aside(campaign):
    """
    Move a campaign whose files are damaged out of the way, into ``campaigns/aside``: its hosts are free then.

    campaign
        str: id. Refused for one whose files are whole, and while a process drives it.

    What was started on hosts goes on there; a new plan finds out what they have.

    CLI Example:

    .. code-block:: bash

        salt-run klp.set_aside c3f2a9c01d4e
    """
    return _call("set_aside", campaign, _who())


@_strict
def report(campaign=None, ask=None, folder=None, pillar=None):
    """
    Write how the whole fleet stands: JSON, CSV, metrics for Prometheus, one HTML page, OpenVEX; or report a campaign.

    campaign
        str: id; return what has become of each host of this campaign, and its history, as ``report``; nothing is
        written.
    ask
        str: which hosts are asked for their document (``klp_audit.host``): ``missing`` (in the mine, or older there
        than pillar ``klp_report:max_age``), ``all`` or ``none``; default: pillar ``klp_report:ask``.
    folder
        str: absolute path; default: pillar ``klp_report:folder``.
    pillar
        dict with the key ``klp_report``, merged over the pillar of the master.

    Returns the summary as ``report`` and the paths as ``files``. Exit code 0 if every host is covered, 2 if not.

    CLI Example:

    .. code-block:: bash

        salt-run klp.report
        salt-run klp.report ask=all folder=/srv/www/klp
        salt-run klp.report c3f2a9c01d4e
    """
    return _call("report", campaign) if campaign else _call("fleet", ask, folder, pillar)


@_strict
def cve(cve, ask=None, pillar=None):
    """
    Return where the fleet stands with a CVE: who is fixed, who by which next step, and of whom it is not known.

    cve
        str: id such as ``CVE-2026-31431``; up to 20 with commas between.
    ask
        str: which hosts are asked for their document first: ``missing`` or ``all``, as for ``klp.report``; default:
        ``none``, the answer is made from the documents in the mine.
    pillar
        dict with the key ``klp_report``, merged over the pillar of the master: target, and the age of a document.

    Returns ``version`` (1), ``made``, ``hosts``, ``documents`` (how old they are, in seconds) and ``cves``. Each CVE
    has ``severity``, ``totals``, ``groups`` and ``commands``; a group names its hosts as ``fixed_live`` (the active
    live patch fixes it), ``fixed_kernel`` (the running kernel has the fix; known only if hosts are asked),
    ``live_patch`` (a newer one fixes it), ``restart`` (a newer kernel does, and which one the host would get),
    ``not_affected`` (not affected, or fixed in the running kernel, as far as its repositories know) and ``unknown``
    (with the reason). ``commands`` plan just those hosts where it helps. Exit code 0: each host is fixed or
    not affected; 2: on a host something is to do; 10: nothing is to do, but of a host it is not known.

    CLI Example:

    .. code-block:: bash

        salt-run klp.cve CVE-2026-31431
        salt-run --out=json klp.cve CVE-2026-31431 ask=missing
    """
    return _call("cve", cve, ask, pillar)


@_strict
def kernels(pillar=None):
    """
    Return one kernel for each group of hosts (their pillar ``klp:group``): the next one that most of them can take.

    pillar
        dict with the key ``klp_report``, merged over the pillar of the master: target, and how hosts are asked.

    Asks each host ``klp_audit.kernels``; nothing is changed. Returns as ``groups`` for each group the kernel with its
    live patch, window and the CVEs that it closes, who can take it, who cannot and why, of whom it is not known, the
    packages to lock, and the values of the filters of SUSE Manager that leave out newer kernels; as ``silent`` of whom
    not even the group is known. Exit code 0 if all hosts of each group can take its kernel, 2 if not.

    CLI Example:

    .. code-block:: bash

        salt-run klp.kernels
        salt-run --out=json klp.kernels
    """
    return _call("kernels", pillar)


@_strict
def quarantined():
    """
    Return the live patches that no campaign installs, because a gate failed with them: as ``quarantine``.

    CLI Example:

    .. code-block:: bash

        salt-run klp.quarantined
    """
    return _call("quarantined")


@_strict
def release(package, edition):
    """
    Take a live patch out of quarantine: campaigns may install it again.

    package, edition
        str: as ``klp.quarantined`` shows them.

    CLI Example:

    .. code-block:: bash

        salt-run klp.release kernel-livepatch-5_14_21-150500_55_7-default 3-150500.2.1
    """
    return _call("release", package, edition, _who())


@_strict
def audit(pillar=None):
    """
    Ask the hosts of pillar ``klp_campaign:target`` for the verdict of ``klp.verify``: as ``hosts``, with the reasons.

    pillar
        dict: as for ``klp.plan``.

    Exit code 0 only if every host is ok, or needs a reboot for something that is no live patch.

    CLI Example:

    .. code-block:: bash

        salt-run klp.audit
    """
    return _call("audit", pillar)
