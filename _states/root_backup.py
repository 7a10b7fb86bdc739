"""
Declares a verified backup of the root volume for the current run.
"""

VERSION = "0.2.0"
try:
    import klp_fresh

    klp_fresh.renew()
    import klp_backup
    import klp_host
    import klp_restore
    import klp_runs
    import klp_state
    import klp_uptodate
    import klp_version

    PROBLEM = klp_version.problem(VERSION, __file__)
except ImportError as exc:
    CURE = "install salt-klp again with pip" if "saltext" in __file__ else "run saltutil.sync_all"
    PROBLEM = f"salt-klp: {exc}: {CURE}"


def __virtual__():
    wrong = PROBLEM or klp_host.foreign(())
    return (False, wrong) if wrong else True


def _host():
    return klp_host.of(__salt__, __pillar__, __grains__, __context__, __instance_id__)


def taken(name, before=None):
    """
    Ensure the current run has a verified backup; an interrupted run keeps the one it made.

    before
        str: ``klp`` or ``klp.patch``: the SLS that follows. No backup is made if it has nothing to change on this host.

    Backend and commands come from pillar ``klp:backup``.

    .. code-block:: yaml

        klp-backup:
          root_backup.taken:
            - before: klp.patch
    """
    host, seen = _host(), {}

    def read():
        if "idle" not in seen:
            seen["idle"] = before is not None and klp_uptodate.decided(host, before)
        if "made" in seen:  # verified a moment ago, when it was made
            return {"backup": seen["made"]}
        return {"backup": None if seen["idle"] else klp_runs.usable(host)}

    def told(now):
        if not now["backup"]:
            return "nothing will change, no backup needed"
        way = klp_runs.backend(host)
        if way["backend"] == "none":
            return "no backup, so no restore: pillar klp:backup:backend is none"
        chosen = f" (backend {way['backend']}: {way['reason']})" if way["chosen"] else ""
        return f"backup {now['backup']} is verified{chosen}"

    return klp_state.converge(
        name,
        __opts__["test"],
        host,
        read=read,
        wanted=lambda old: old if seen["idle"] or old["backup"] else {"backup": "a verified backup of this run"},
        apply=lambda goal: seen.update(made=klp_runs.create(host)["backup"]),
        done=lambda new: bool(new["backup"]),
        told=told,
    )


def finished(name):
    """
    Ensure the current run is marked as finished, so that the next one makes a backup of its own.

    Then the backups of earlier runs that pillar ``klp:backup:keep`` does not keep are deleted; one that cannot be
    deleted is told in the comment and does not make the run fail.

    .. code-block:: yaml

        klp-finished:
          root_backup.finished:
            - require:
              - klp: klp-verified
    """
    host, notes = _host(), []

    def read():
        run = klp_runs.current(host) or {}
        found = {"open run": run.get("run") if run.get("finished") is None else None}
        return dict(found, backups=[item["backup"] for item in klp_runs.runs() if item["backup"]])

    def apply(_goal):
        klp_runs.finish(host)
        notes.extend(klp_runs.prune(host)["notes"])

    return klp_state.converge(
        name,
        __opts__["test"],
        host,
        read=read,
        wanted=lambda old: dict(old, **{"open run": None}),
        apply=apply,
        done=lambda new: new["open run"] is None,
        told=lambda now: "no run is open",
        notes=lambda: notes,
    )


def restored(name, backup, confirm=""):
    """
    Ensure a backup of the root volume is put back: prepared here, in force after a reboot, which is left to you.

    backup
        str: id of the backup or of its run, as ``root_backup.list`` shows it.
    confirm
        str: the same id again, to confirm that all changes since this backup will be lost; without it the state fails
        and lists them.

    .. code-block:: yaml

        klp-restored:
          root_backup.restored:
            - backup: "42"
            - confirm: "42"
    """
    host, seen, test = _host(), {}, __opts__["test"]

    def read():
        seen.update(klp_restore.restoration(host, backup))
        return {"restored": seen["backup"] if seen["stage"] in ("prepared", "done") else None}

    def wanted(old):
        if not old["restored"] and test:
            seen["lost"] = klp_restore.losses(host, backup)
        return {"restored": seen["backup"]}

    def apply(_goal):
        seen["lost"] = klp_restore.restore(host, backup, confirm)["lost"]

    def told(now):
        if seen["stage"] == "done":
            return f"backup {now['restored']} is in force, the packages of this host are those of the backup"
        return f"backup {now['restored']} takes the place of the root volume when the host is started again"

    def notes():
        lines = klp_backup.told(seen["lost"]) if "lost" in seen else []
        if test and lines and str(confirm) != str(backup):
            lines.append(f"It needs pillar klp:restore:confirm: {backup}")
        waits = seen.get("stage") == "prepared"
        return lines + ["A reboot is needed: until then the running system stays as it is"] * waits

    return klp_state.converge(name, test, host, read=read, wanted=wanted, apply=apply, told=told, notes=notes)
