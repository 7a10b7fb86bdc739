"""
Declares kernel live patching on SUSE Linux Enterprise: enabled, patched to a level, held, settled, verified, disabled.

Each state reads, compares, predicts under ``test=True``, acts, reads again and reports what it saw. What it predicts is
what it does: an edition is resolved once.
"""

from salt.exceptions import CommandExecutionError, SaltInvocationError

VERSION = "0.2.0"
try:
    import klp_fresh

    klp_fresh.renew()
    import klp_campaign
    import klp_change_state
    import klp_disable
    import klp_enable
    import klp_health
    import klp_hold
    import klp_hooked
    import klp_host
    import klp_install
    import klp_live
    import klp_ready
    import klp_rollback
    import klp_state
    import klp_version

    PROBLEM = klp_version.problem(VERSION, __file__)
except ImportError as exc:
    CURE = "install salt-klp again with pip" if "saltext" in __file__ else "run saltutil.sync_all"
    PROBLEM = f"salt-klp: {exc}: {CURE}"

ERRORS = (CommandExecutionError, SaltInvocationError)


def __virtual__():
    wrong = PROBLEM or klp_host.foreign()
    if wrong:
        return False, wrong
    if "klp.status" not in __salt__:
        return False, "klp: the module klp is not loaded here; it says why: salt-call klp.status"
    return True


def _host():
    opts = dict(__opts__, saltenv=__env__)
    return klp_host.of(__salt__, __pillar__, __grains__, __context__, __instance_id__, opts)


def ready(name, refresh=False):
    """
    Ensure nothing speaks against live patching this host: pillar, kernel, settings, locks of others. Changes nothing.

    A run that a campaign sent is refused too if it comes too late. A run of salt-call keeps all others off from here to
    its end, a run of a minion during each change.

    refresh
        bool: also refresh the repositories and refuse if one of them cannot be read, or if they have what a campaign
        has not shown in its plan, and if something is about to change while pillar ``klp:health`` finds this host ill.

    .. code-block:: yaml

        klp-ready:
          klp.ready:
            - refresh: true
    """
    return klp_ready.ready(_host(), name, refresh, __opts__)


def enabled(name, level="latest"):
    """
    Ensure the tools and a live patch package of the running kernel are installed, the product activated if need be.

    level
        str or int: level for a host that has no live patch yet: ``latest``, a number or an edition.

    .. code-block:: yaml

        klp-enabled:
          klp.enabled:
            - level: latest
            - require:
              - zypper: klp-locks
    """
    host, goal, notes = _host(), {}, []

    def read():
        package = klp_live.package(host)
        found = {"missing tools": klp_enable.missing_tools(host), package["name"]: package["edition"]}
        cut_off = klp_enable.unfinished_tools(host)
        return dict(found, unfinished=cut_off) if cut_off else found

    def wanted(old):
        package = klp_live.package(host)
        goal.update({"product": None} if package["edition"] else klp_enable.goal(host, level))
        if goal["product"]:
            notes.append(f"Product {goal['product']} is activated first; which live patch that brings is known then")
        edition = package["edition"] or goal["edition"]
        found = {"missing tools": [], package["name"]: edition or {"level": level, "product": goal["product"]}}
        return _well(host, old, found)

    def apply(_wanted):
        del notes[:]
        notes.extend(klp_enable.enable_goal(host, level, goal)["notes"])

    return klp_state.converge(
        name,
        __opts__["test"],
        host,
        read=read,
        wanted=wanted,
        apply=apply,
        done=lambda new: not new["missing tools"] and None not in new.values() and "unfinished" not in new,
        told=lambda now: f"tools and a live patch package of {host.release} are installed",
        notes=lambda: notes,
    )


def patched(name, level="latest", search=False):
    """
    Ensure the live patch of the running kernel is at a level: installed, and taken by the kernel.

    level
        str or int: ``latest``, a number or an edition.
    search
        bool, for ``latest``: look for a newer one in the repositories. Without it any live patch will do, and no zypper
        is started on a host that has one.

    .. code-block:: yaml

        klp-live-patch:
          klp.patched:
            - level: latest
            - search: true
    """
    host, notes = _host(), []

    def read():
        package = klp_live.package(host)
        found = {"live patch": package["edition"], "module": klp_live.status(host)["active"]}
        return dict(found, unfinished=True) if package["unfinished"] else found

    def wanted(old):
        goal = klp_enable.goal(host, level, search)
        if goal["product"]:
            notes.append(f"Known once product {goal['product']} is activated, which klp.enabled does")
            return {"live patch": {"level": level, "product": goal["product"]}, "module": None}
        return _well(host, old, {"live patch": goal["edition"], "module": goal["module"]})

    def apply(goal):
        edition = goal["live patch"]
        if isinstance(edition, dict):
            raise CommandExecutionError(
                f"product {edition['product']} is not activated: klp.enabled does that, run state.apply klp"
            )
        notes.extend(klp_install.install_edition(host, edition, check=_shown(host))["notes"])

    return klp_state.converge(
        name,
        __opts__["test"],
        host,
        read=read,
        wanted=wanted,
        apply=apply,
        told=lambda now: f"live patch {now['live patch']} is in the kernel as {now['module']}",
        notes=lambda: notes,
    )


def _well(host, old, goal):
    """Return what is wanted; raise CommandExecutionError if that is a change and the application is not well."""
    problems = [] if old == goal else klp_health.before(host)
    if problems:
        raise CommandExecutionError("; ".join(problems))
    return goal


def _shown(host):
    """Return the check of what is about to be installed: that the plan of a campaign has shown it."""
    return lambda packages: klp_campaign.require_shown(host, packages)


def rolled_back(name, level="previous", force=False):
    """
    Ensure the live patch of the running kernel went back to an earlier one, and that newer ones are held back.

    level
        str or int: ``previous``, a number or an edition; on a host that is held already ``previous`` is what it is held
        at.
    force
        bool: go back although kernel log or taint tell of earlier kernel errors.

    .. code-block:: yaml

        klp-rolled-back:
          klp.rolled_back:
            - level: previous
    """
    host, notes = _host(), []

    return klp_state.converge(
        name,
        __opts__["test"],
        host,
        read=lambda: klp_rollback.standing(host),
        wanted=lambda old: klp_rollback.goal(host, level),
        apply=lambda goal: notes.extend(klp_rollback.downgrade_to(host, goal["live patch"], force)["notes"]),
        told=lambda now: f"live patch {now['live patch']} is in the kernel, newer ones are held back",
        notes=lambda: notes,
    )


def hooked(name, hook, around="klp.patch"):
    """
    Ensure the SLS of pillar ``klp:hooks`` have run where their time has come, as one state run of their own.

    hook
        str. ``before``: only if something is about to change. ``after``: if ``before`` has begun, in this run or in one
        that was killed. ``on_failure``: if a state of the formula failed in this run after ``before`` had begun.
    around
        str: ``klp.patch`` or ``klp.rollback``: the SLS that is run.

    The comment has a line for each of their states, ``changes`` what they changed. No state module of Salt's can run
    an SLS only now and then, and once more after a kill.

    .. code-block:: yaml

        klp-hook-before:
          klp.hooked:
            - hook: before
            - around: klp.patch
    """
    try:
        return klp_hooked.hooked(_host(), name, hook, around, __opts__["test"], __running__)
    except ERRORS as exc:
        return klp_state.result(name, result=False, comment=str(exc))


def held(name):
    """
    Ensure the locks of a host that went back cover the newest advisories too; nothing to do on any other host.

    .. code-block:: yaml

        klp-held:
          klp.held: []
    """
    host = _host()
    return klp_state.converge(
        name,
        __opts__["test"],
        host,
        read=lambda: {"missing locks": klp_hold.missing_locks(host)},
        wanted=lambda old: {"missing locks": []},
        apply=lambda goal: klp_hold.hold(host),
        told=lambda now: "no newer live patch is being held back",
    )


def settled(name, timeout=300):
    """
    Ensure no transition runs: wait for its end, and name the tasks that hold it up if it does not end.

    timeout
        int, seconds: deadline.

    .. code-block:: yaml

        klp-settled:
          klp.settled:
            - timeout: 300
    """
    host = _host()
    return klp_state.converge(
        name,
        __opts__["test"],
        host,
        read=lambda: {"transition": klp_live.status(host)["transition"]},
        wanted=lambda old: {"transition": "ready"},
        apply=lambda goal: klp_live.wait(host, timeout),
        told=lambda now: "no transition is running",
    )


def verified(name):
    """
    Ensure rpm, sysfs and the klp tool agree that this host is live patched as declared. Changes nothing.

    What pillar ``klp:health`` declares has to be well, too; at the end of a run it has ``klp:health:wait`` seconds.

    .. code-block:: yaml

        klp-verified:
          klp.verified: []
    """
    return klp_ready.verified(_host(), name, __opts__["test"])


def disabled(name):
    """
    Ensure nothing is left of live patching that pillar ``klp:disable`` takes away: packages, a hold, locks of ours.

    The live patch that is loaded stays in the kernel until the next restart; the comment says so, as long as it is
    loaded. Take ``klp.enabled`` (SLS ``klp``) out of the highstate first, or each undoes the other.

    .. code-block:: yaml

        klp-disabled:
          klp.disabled: []
    """
    host, outcome = _host(), {}

    def read():
        found = klp_disable.leftovers(host)
        return dict(found["packages"], locked=found["locks"], held=found["held"])

    def wanted(old):
        klp_disable.leftovers(host, check=True)
        if not __opts__["test"]:
            klp_disable.forget_gone_locks(host)
        return {"locked": [], "held": None}

    return klp_state.converge(
        name,
        __opts__["test"],
        host,
        read=read,
        wanted=wanted,
        apply=lambda goal: outcome.update(klp_disable.disable(host)),
        told=lambda now: "nothing is left of live patching that pillar klp:disable takes away",
        missing=lambda new: f"Still there: {', '.join(sorted(set(new) - {'locked', 'held'}) + new['locked'])}",
        notes=lambda: outcome["notes"] if outcome else klp_disable.still_loaded(host),
    )


def kernel_changed(name, step="verify"):
    """
    Ensure this host runs the kernel of pillar ``klp:kernel:target``, live patched; it is never restarted here.

    step
        str. ``plan``: nothing speaks against it. ``install``: the kernel and its live patch are installed beside the
        running one, and GRUB starts it once, with the running one as default. ``verify``: it is told that a restart is
        needed, or, after it, whether the new kernel is well; it becomes the default then.

    .. code-block:: yaml

        klp-kernel:
          klp.kernel_changed:
            - step: verify
    """
    return klp_change_state.changed(_host(), name, step, __opts__["test"])


def restarted(name):
    """
    Ensure this host is restarted, once, as a campaign of kind ``kernel`` has asked for; without one it is refused.

    .. code-block:: yaml

        klp-restart:
          klp.restarted: []
    """
    return klp_change_state.restarted(_host(), name, __opts__["test"])


def kernel_restored(name):
    """
    Ensure the kernel of before a change is the default again and, after a restart that is not made here, runs well.

    .. code-block:: yaml

        klp-kernel-back:
          klp.kernel_restored: []
    """
    return klp_change_state.restored(_host(), name, __opts__["test"])
