"""
A host, read once: the checked pillar, the family, the kernel, what programs said; each kept until it may have changed.

Every decision takes a ``Host`` as its first argument. One job, or one state run, has one (``of``).
"""

import contextlib
import copy
import logging
import os
import time

import salt.utils.path
from salt.exceptions import CommandExecutionError, SaltInvocationError

import klp_cmd
import klp_family
import klp_parse
import klp_paths
import klp_pillar
import klp_runlock
import klp_sys
import zypp_cmd

log = logging.getLogger(__name__)

KEY = "salt-klp.host"  # in __context__
WITHOUT_METADATA = ("refresh", "addlock", "removelock")  # commands of zypper


def of(salt, pillar, grains, context=None, run=None, opts=None):
    """
    Return the host of this call, or of this state run.

    salt, pillar, grains, context
        ``__salt__``, ``__pillar__``, ``__grains__`` of the calling module or state; of a state its ``__context__`` too.
    run
        ``__instance_id__`` of a state: its run has one host, the next run has another.
    opts
        ``__opts__``, with the ``saltenv`` of a state: where SLS of the administrator's own may have to be run.
    """
    kept, host = (context or {}).get(KEY), None
    # The same id, not an equal one: Salt makes it of an address, which the next run in this process may have again.
    if kept and kept["run"] is run and isinstance(kept["host"], Host):  # another class: synced in the middle of a run
        host = kept["host"]
    host = host or Host()
    if context is not None:
        context[KEY] = {"run": run, "host": host}
    host.salt, host.pillar, host.id = salt, pillar.get("klp"), grains["id"]
    host.opts, host.whole_pillar = opts, pillar
    return host


def foreign(programs=("zypper", "rpm")):
    """
    Return why a module does not work on this system, one sentence, or ``None``: it is none of SUSE's.

    programs
        what the module needs.
    """
    wrong = klp_family.foreign(klp_sys.text(klp_paths.OS_RELEASE))
    missing = [name for name in programs if not salt.utils.path.which(name)]
    return wrong or (f"command {missing[0]} not found on this SUSE host: install it" if missing else None)


class Once:
    """A property that is read once: the kernel that runs does not change during a job."""

    def __init__(self, reading):
        self.reading, self.name, self.__doc__ = reading, reading.__name__, reading.__doc__

    def __get__(self, host, _owner):
        value = host.__dict__[self.name] = self.reading(host)
        return value


class Host:
    """One host during one job; what it has read is read again when what it depends on has changed."""

    def __init__(self):
        self.salt, self.pillar, self.id = {}, None, "minion"
        self.fresh = False  # whether the metadata of repositories were refreshed in this job
        self.opts, self.whole_pillar = None, {}
        self.hooked = False  # whether a hook has run in this job
        self.decided: dict = {}  # SLS of the formula -> whether it has nothing to change, as found out once
        self.zypp_conf = None  # another zypp.conf, as zypp_opened makes it
        self.change = None  # plan of a change of the kernel, as klp_change_plan makes it
        self.asked = False  # whether its application has been asked before the first change of this job
        self._kept, self._checked, self._meant, self._deadline = {}, None, None, None

    # the pillar

    def check(self):
        """Return ``(settings, problems)`` of pillar ``klp``, as ``klp_pillar.check`` has it."""
        if self._checked is None or self._checked[0] != self.pillar:
            self._checked = copy.deepcopy(self.pillar), klp_pillar.check(self.pillar, self.id, self.release)
        return self._checked[1]

    @property
    def settings(self):
        """The checked settings; raises SaltInvocationError, one sentence for each wrong key or value."""
        settings, problems = self.check()
        if problems:
            raise SaltInvocationError("; ".join(problems))
        return settings

    # the system and its kernel

    @property
    def family(self):
        """What the family of this host has, a row of ``klp_family.FAMILIES``."""
        return self.kept(
            "family", [klp_paths.OS_RELEASE], lambda: klp_family.family(klp_sys.text(klp_paths.OS_RELEASE))
        )

    @Once
    def release(self):
        """``uname -r`` of the running kernel."""
        return os.uname().release

    @Once
    def kernel(self):
        """``{"release", "version", "flavour"}`` of the running kernel."""
        return klp_cmd.parsed(klp_parse.kernel, self.release)

    @Once
    def live_patch_package(self):
        """Name of the live patch package of the running kernel."""
        return klp_cmd.parsed(klp_parse.package_name, self.release)

    def module(self, edition):
        """Return the name that sysfs has for the live patch of an edition, of the running kernel."""
        return klp_cmd.parsed(klp_parse.module_name, edition, self.release)

    @property
    def tools(self):
        """What pillar ``klp:tools`` means here: ``{"packages": [names], "pattern" (empty: none)}``."""
        return self._resolved()["tools"]

    @property
    def product(self):
        """The product that holds the live patches of this host; empty: none."""
        return self._resolved()["product"]["name"]

    def _resolved(self):
        """The settings as they are meant for this family, found out again when one of the two has changed."""
        settings, family = self.settings, self.family
        if self._meant is None or self._meant[0] is not settings or self._meant[1] is not family:
            self._meant = settings, family, klp_family.resolved(settings, family)
        return self._meant[2]

    def unsupported_reason(self):
        """Return why this host is not live patched, one sentence: its family or its kernel; ``None`` where it is."""
        refused = klp_family.refused(self.family, klp_sys.read_only(klp_paths.USR))
        if refused:
            return refused
        unsupported = klp_cmd.parsed(klp_parse.unsupported, self.release, os.uname().machine)
        return klp_family.stranger(self.family, self.release) or unsupported

    # programs

    def run(self, argv, ok=(0,), timeout=60, **kwargs):
        """Start a program as ``klp_cmd.run`` does, within what ``limited`` allows."""
        if self._deadline is not None:
            timeout = min(timeout, round(self._deadline - time.monotonic(), 1))
            if timeout <= 0:  # zero is "for ever" for Salt
                raise CommandExecutionError(f"{argv[0]}: not started, the time for looking at this host was over")
        return klp_cmd.run(self.salt["cmd.run_all"], argv, ok, timeout=timeout, **kwargs)

    @contextlib.contextmanager
    def exclusive(self, what):
        """Keep every other job from changing this host meanwhile; a run of the formula has kept them off already."""
        taken = klp_runlock.take(what)
        try:
            yield
        finally:
            if taken:
                klp_runlock.release()

    @contextlib.contextmanager
    def limited(self, seconds):
        """Let all programs together take so many seconds."""
        self._deadline = time.monotonic() + seconds
        try:
            yield
        finally:
            self._deadline = None

    def zypper(self, args, ok=(0,), writes=False, xml=True, before=None, lock_timeout=None):
        """
        Run zypper with the patience that pillar ``klp:zypper`` gives; arguments as for ``zypp_cmd.zypper``.

        lock_timeout
            seconds; default: the pillar's.

        The first call that looks into repositories refreshes their metadata, later ones of this job do not: what was
        predicted and what is installed come of one state. Nothing that writes is started on a transactional host.
        """
        refused = klp_family.transactional(self.family, klp_sys.read_only(klp_paths.USR)) if writes else None
        if refused:
            raise CommandExecutionError(refused)
        patience = dict(self.settings["zypper"])
        if lock_timeout is not None:
            patience["lock_timeout"] = lock_timeout
        looks = args[0] not in WITHOUT_METADATA
        args = (["--no-refresh"] if looks and self.fresh else []) + list(args)
        run = self._run_opened if self.zypp_conf else self.run
        res = zypp_cmd.zypper(run, patience, args, ok, writes, xml, before)
        self.fresh = self.fresh or looks
        return res

    def _run_opened(self, argv, ok, timeout, env):
        return self.run(argv, ok, timeout, env=dict(env, ZYPP_CONF=self.zypp_conf))

    def forget(self, key):
        """Forget what ``kept`` has of a key."""
        self._kept.pop(key, None)

    def kept(self, key, files, reading):
        """
        Return ``reading()``, or what it said before in this job if none of ``files`` (globs) has changed since.

        key
            hashable; what is asked.
        """
        now = klp_sys.fingerprint(files)
        if key not in self._kept or self._kept[key][0] != now:
            answer = reading()
            self._kept[key] = klp_sys.fingerprint(files), answer
        return self._kept[key][1]
