"""
What the public functions of the runner do; each returns a document with ``retcode`` and ``text``.
"""

from __future__ import annotations

import contextlib
import time

import salt.loader
import salt.pillar
import salt.utils.dictupdate
import salt.utils.minions
import salt.utils.user
from salt.exceptions import CommandExecutionError, SaltInvocationError

from . import answers, apart, asking, calendars, decide, files, kernel_plans, schema, show, targets
from . import planning as plans
from .outcome import RETCODES, answer, progress
from .standing import summary
from .steering import Steering
from .words import count


class Commands(Steering):
    """The campaigns of one master; ``compare`` is ``klp_pillar.compare``."""

    def __init__(self, opts, compare):
        super().__init__(opts)
        self.compare = compare

    # -- plan ----------------------------------------------------------------------------------------------------

    def settings(self, pillar):
        """Return the checked settings of pillar ``klp_campaign``; what is given goes over what the master has."""
        found, problems = schema.settings(self.pillar(pillar, "klp_campaign"), self.compare)
        if problems:
            raise SaltInvocationError("; ".join(problems))
        return found

    def pillar(self, pillar, key):
        """Return what stands below a key of the master's pillar, what is given merged over it."""
        if pillar is not None and not isinstance(pillar, dict):
            raise SaltInvocationError(f"pillar: wanted a mapping with the key {key}, found {schema.show(pillar)}")
        # What an orchestration on this master sees: grains and all.
        grains = salt.loader.grains(self.opts)
        own = salt.pillar.get_pillar(self.opts, grains, self.opts["id"], "base").compile_pillar()
        if own.get("_errors"):
            raise CommandExecutionError(f"pillar of {self.opts['id']}: {answers.text(own['_errors'][0])}")
        merged = salt.utils.dictupdate.update(own, pillar or {}, recursive_update=True)
        return merged.get(key)

    def _members(self, settings):
        """
        Return whom a campaign is about.

        Returns ``(hosts, for each wave those it may take (None: all), {host that is left out beforehand: why})``.
        """
        kind, members = settings["target_type"], []
        hosts, strange = targets.wanted(self.opts, settings["target"], kind)
        for wave in settings["waves"]:
            chosen, unclear = wave["hosts"], {}
            if wave["target"]:
                chosen, unclear = targets.matching(self.opts, wave["target"], kind)
            members.append(set(chosen) if wave["hosts"] or wave["target"] else None)
            strange.update({host: why for host, why in unclear.items() if host in hosts})
        return [host for host in hosts if host not in strange], members, strange

    def plan(self, kind, pillar, who, part=None):
        """Ask the hosts and return their plan, written down; ``part`` (such as ``due.Due``) takes some of them."""
        if kind not in plans.KINDS:
            raise SaltInvocationError(f"kind: wanted {plans.WANTED}, found {schema.show(kind)}")
        settings = calendars.prepared(self.settings(pillar), time.time())
        if settings["reboot"] and kind != "kernel":
            raise SaltInvocationError(kernel_plans.REBOOT.format(kind))
        hosts, members, strange = self._members(settings)
        said, more = [], {}
        if part:
            hosts, strange = part.take(hosts, strange)
            said, more = [part.text()], {part.key: part.found}
            if not hosts and not strange:
                return answer(RETCODES["incomplete"] if part.found["unknown"] else 0, part.text(), plan=None, **more)
        reach = self.hands("plan")
        try:
            previews, asked = self._previews(reach, settings, hosts, kind)
        finally:
            reach.close()
        busy, lost = self.store.occupied()
        facts = {
            "kind": kind,
            "by": who,
            "master": self.opts["id"],
            "hosts": hosts,
            "answers": previews,
            "asked": asked,
            "members": members,
            "busy": busy,
            "strange": strange,
            "known": self._known(settings["apart"], {*hosts, *busy, *strange} - set(previews)),
            "quarantine": self.store.quarantine() if kind == "patch" else [],
        }
        made = plans.make(facts, settings, time.time())
        self.store.save(made)
        self.store.forget(settings["keep"], time.time())
        text = "\n".join([*said, show.plan_text(made), *map(unowned, lost, lost.values())])
        return answer(0, text, plan=made, **more)

    def _previews(self, reach, settings, hosts, kind):
        """Ask hosts, many at once, what they would get; return that and when the first one was asked."""
        by = "" if settings["apart"] == apart.GROUP else settings["apart"]
        mine, asked = asking.code(self.opts) if settings["sync"] else None, time.time()
        return asking.Asking(reach, settings, kind, by, mine, progress).ask(hosts), asked

    def _known(self, name, hosts):
        """Return what the master knows by itself: by what hosts are kept apart from others."""
        return {host: targets.kept_apart(self.opts, host, name) for host in hosts} if name else {}

    # -- run -----------------------------------------------------------------------------------------------------

    def run(self, name, kind, pillar, who, wait=True):
        """Begin a plan, or go on with its campaign, and drive it, or leave it to the engine."""
        self._check_wait(wait)
        if name and pillar is not None:
            raise SaltInvocationError(f"pillar is for a plan that is made here; plan {name} has its own")
        name = name or self.settings(pillar)["plan"]
        if not name:
            made = self.plan(kind or "patch", pillar, who)
            if not made["plan"]["hosts"]:
                missing = any(item[0] in plans.MISSING for item in made["plan"]["left_out"].values())
                return answer(RETCODES["incomplete" if missing else "done"], made["text"], plan=made["plan"])
            if made["plan"]["settings"]["approve"]:
                text = made["text"] + "\n\nNothing was started: pillar klp_campaign:approve wants the id of a plan."
                return answer(RETCODES["open"], text, plan=made["plan"])
            name = made["plan"]["id"]
        name = str(name)
        return self._drive_or_leave(name, who, wait, lambda: self._begin(name, kind, who))

    def _check_wait(self, wait):
        """Refuse to leave a campaign to an engine that is not there."""
        if not isinstance(wait, bool):
            raise SaltInvocationError(f"wait: wanted true or false, found {schema.show(wait)}")
        if not wait and not self.store.attended():
            raise CommandExecutionError(
                "no engine klp_campaign runs on this master, so nobody would drive the campaign: add it to the option "
                "engines of the master and restart salt-master, or leave out wait=False"
            )

    def _drive_or_leave(self, name, who, wait, first):
        """Do what comes before the driving while nobody else can drive, and then drive, or leave it to the engine."""
        if wait:
            return self.drive([name], who, first)[0]
        try:
            with self.store.alone(name):
                first()
        except files.BusyError:
            first()
        text = f"the engine of this master drives campaign {name}; watch it with: salt-run klp.status {name} watch=5"
        return answer(RETCODES["running"], text, campaign=summary(self._campaign(name), "running"))

    def _begin(self, name, kind, who):
        plan = self.store.plan(name)
        if kind not in (None, plan["kind"]):
            raise SaltInvocationError(
                f"plan {name} is a {plan['kind']}, not a {kind:.60}; make another one with: salt-run klp.plan KIND"
                if isinstance(kind, str)
                else f"kind: wanted {plans.WANTED}, found {schema.show(kind)}"
            )
        with self.store.beginning():
            if not self.store.begun(name):
                self._may_begin(plan)
                self.store.begin(name, by=who, master=self.opts["id"])

    def _may_begin(self, plan):
        age, limit = time.time() - plan["created"], plan["settings"]["max_age"]
        if age > 3600 * limit:
            raise CommandExecutionError(f"plan {plan['id']} is {show.span(age)} old, at most {limit} h are allowed")
        taken, lost = self.store.occupied()
        if lost:
            raise CommandExecutionError(unowned(*next(iter(lost.items()))))
        both = {host: taken[host] for host in plan["hosts"] if host in taken}
        if both:
            host = min(both)
            raise CommandExecutionError(
                f"{count(len(both), 'host')} of plan {plan['id']}: already in a campaign that is not over "
                f"({host}: {both[host]}); end that one first (salt-run klp.status {both[host]}), or make a new plan"
            )
        self._apart(plan, taken)
        if plan["kind"] != "patch":
            return
        banned = {(item["package"], item["edition"]) for item in self.store.quarantine()}
        brought = {(item["package"], item["target"]) for item in plan["hosts"].values() if decide.changed(item)}
        wrong = sorted(banned & brought)
        if wrong:
            raise CommandExecutionError(f"{wrong[0][0]} {wrong[0][1]} has come into quarantine since; make a new plan")

    def _apart(self, plan, taken):
        """Refuse a plan of which a host is kept apart from one that is in another campaign by now."""
        name = plan["settings"].get("apart", "")
        known = self._known(name, taken)
        others = {host: (known.get(host), one) for host, one in taken.items()}
        planned = {host: item["apart"] for host, item in plan["hosts"].items()} if name else {}
        found = apart.left_out(name, planned, {}, others)
        if found:
            host = min(found)
            raise CommandExecutionError(
                f"{count(len(found), 'host')} of plan {plan['id']}: to be kept apart from another campaign "
                f"({host}: {found[host]}); end that campaign first, or make a new plan"
            )

    def resume(self, name, who, wait=True):
        """Go on with a campaign, or with all that are not over, not paused and driven by nobody."""
        self._check_wait(wait)
        if not name:
            return self.drive_all(who) if wait else answer(0, "the engine of this master drives all that waits")
        if not self._campaign(name).begun and not self.store.begun(name):
            raise CommandExecutionError(f"plan {name} has not begun; begin it with: salt-run klp.run {name}")
        try:
            return self._drive_or_leave(name, who, wait, lambda: self._go_on(name, who))
        except files.BusyError:
            self._go_on(name, who)
            raise

    def _go_on(self, name, who):
        """Write down the request to resume a campaign that was paused."""
        campaign, wish = self._campaign(name), self.store.wished(name) or {"number": 0}
        unread = wish["number"] > campaign.wish and wish["want"] == "pause"
        if (campaign.paused or unread) and not campaign.over:
            self.store.wish(name, "resume", who, time.time(), self.opts["id"])

    # -- wishing -----------------------------------------------------------------------------------------------

    def wish(self, name, want, who):
        """Pause or abort a campaign: no host is started after this returns."""
        campaign = self._campaign(name)
        if campaign.over:
            raise CommandExecutionError(f"campaign {name} is over ({campaign.result})")
        if not self.store.begun(name):
            raise CommandExecutionError(f"plan {name} has not begun: there is nothing to {want}")
        self.store.wish(name, want, who, time.time(), self.opts["id"])
        if want == "abort" and not self.store.driven(name):
            with contextlib.suppress(files.BusyError):  # the engine was quicker
                return self.drive([name], who)[0]
        how = "the process that drives it" if self.store.driven(name) else f"salt-run klp.resume {name}"
        text = f"campaign {name}: {want} is written down, no further host is started; {how} does the rest"
        return answer(0, text, campaign=summary(campaign, None))

    def set_aside(self, name, who):
        """Move a campaign out of the way whose files cannot be used: its hosts are free then."""
        if not files.exists(self.store.path(name)):
            raise CommandExecutionError(f"there is no campaign {name}; look with: salt-run klp.status")
        try:
            over = self._campaign(name).over
        except files.DamagedError as exc:
            return self._moved(name, exc, who)
        cure = "it is over, its hosts are free" if over else f"end it with: salt-run klp.abort {name}"
        raise CommandExecutionError(f"nothing is wrong with the files of campaign {name}; {cure}")

    def _moved(self, name, exc, who):
        brought = self._brought(name)
        try:
            where, hosts = self.store.set_aside(name, who, time.time(), self.opts["id"])
        except files.BusyError as busy:
            raise CommandExecutionError(
                f"a process drives campaign {name}; end it first: salt-run klp.abort {name}"
            ) from busy
        named = "unknown" if hosts is None else f"{len(hosts)} ({show.names(hosts)})"
        text = (
            f"campaign {name} is in {where} now; it was set aside because of {exc.why}\n"
            f"free are its hosts: {named}. What was started on them goes on, and they refuse another run until it has "
            "ended; none of them goes back by itself. A new plan finds out what they have: salt-run klp.plan"
        )
        if brought:
            text += (
                f"\nit is unknown whether they are well with {', '.join(brought)}, which is not in quarantine: look at "
                "them before another plan brings that to others (salt-run klp.audit)"
            )
        return answer(0, text, campaign=name, folder=where, hosts=hosts)

    def _brought(self, name):
        """Return the live patches of a plan that are not in quarantine, as far as anybody knows."""
        try:
            plan, banned = self.store.plan(name), self.store.quarantine()
        except files.DamagedError:
            return []
        known = {(item["package"], item["edition"]) for item in banned}
        found = {(item["package"], item["target"]) for item in plan["hosts"].values() if decide.changed(item)}
        return sorted(" ".join(pair) for pair in found - known) if plan["kind"] == "patch" else []

    def release(self, package, edition, who):
        """Take a live patch out of quarantine."""
        if not self.store.release(str(package), str(edition), who, time.time(), self.opts["id"]):
            banned = ", ".join(f"{item['package']} {item['edition']}" for item in self.store.quarantine()) or "nothing"
            raise CommandExecutionError(f"{package} {edition} is not in quarantine; there is: {banned}")
        reach = self.hands("quarantine")
        reach.tell("release", {"package": str(package), "edition": str(edition), "by": who})
        reach.close()
        return answer(0, f"{package} {edition} may be installed again", quarantine=self.store.quarantine())


def unowned(name, exc):
    """Return the sentence about a campaign whose hosts are unknown."""
    return f"the hosts of campaign {name} are unknown, and no other campaign begins until they are known: {exc}"


def user(known):
    """Return who gives the order: ``known`` to Salt, or where it does not know as sudo knows it."""
    if isinstance(known, str) and known not in ("", "UNKNOWN"):
        return answers.text(known)
    return salt.utils.user.get_specific_user()
