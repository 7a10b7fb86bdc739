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

from . import answers, decide, drive, hands, schema, show, store, turning
from . import planning as plans
from .outcome import RETCODES, answer, progress
from .standing import Standing, summary

PREVIEW = "klp_audit.run_preview"


class Commands(Standing):
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
        """Return the hosts of the campaign, and for each wave those it may take (``None``: all)."""
        hosts, _ = plans.host_ids(self._matching(settings["target"], settings["target_type"]))
        members = []
        for wave in settings["waves"]:
            chosen = wave["hosts"] or (wave["target"] and self._matching(wave["target"], settings["target_type"]))
            members.append(set(chosen) if wave["hosts"] or wave["target"] else None)
        if not hosts:
            raise CommandExecutionError(
                f"no accepted minion matches {settings['target_type']} target {schema.show(settings['target'])}"
            )
        return hosts, members

    def _matching(self, expression, kind):
        found = salt.utils.minions.CkMinions(self.opts).check_minions(expression, kind, greedy=False)
        return found["minions"]

    def plan(self, kind, pillar):
        """Ask the hosts and return their plan, written down."""
        if kind not in plans.KINDS:
            raise SaltInvocationError(f"kind: wanted {' or '.join(plans.KINDS)}, found {schema.show(kind)}")
        settings = self.settings(pillar)
        hosts, members = self._members(settings)
        reach = self.hands("plan")
        try:
            previews, asked = self._previews(reach, settings, hosts, kind)
        finally:
            reach.close()
        facts = {
            "kind": kind,
            "master": self.opts["id"],
            "hosts": hosts,
            "answers": previews,
            "asked": asked,
            "members": members,
            "busy": self.store.taken(),
            "quarantine": self.store.quarantine(),
        }
        made = plans.make(facts, settings, time.time())
        self.store.save(made)
        return answer(0, show.plan_text(made), plan=made)

    def _previews(self, reach, settings, hosts, kind):
        """Ask hosts, many at once, what they would get: first whether they answer at all, since some never do."""
        previews, asked, patience = {}, time.time(), settings["presence"]
        for first in range(0, len(hosts), decide.ASK):
            part = hosts[first : first + decide.ASK]
            progress(f"asking {part[0]} to {part[-1]}: {first + len(part)} of {len(hosts)} hosts")
            present = sorted(reach.ask(part, "test.ping", [], patience["timeout"]))
            if settings["sync"] and present:
                reach.ask(present, "saltutil.sync_all", [], patience["outlook"])
            if present:
                previews.update(reach.ask(present, PREVIEW, [kind, settings["level"]], patience["outlook"]))
        return previews, asked

    def hands(self, campaign):
        """Return what reaches the hosts."""
        wrong = hands.usable(self.opts)
        if wrong:
            raise CommandExecutionError(wrong)
        return hands.Hands(self.opts, campaign)

    # -- run -----------------------------------------------------------------------------------------------------

    def run(self, name, kind, pillar):
        """Begin a plan, or go on with its campaign, and drive it."""
        name = name or self.settings(pillar)["plan"]
        if not name:
            made = self.plan(kind, pillar)
            if not made["plan"]["hosts"]:
                missing = any(item[0] in plans.MISSING for item in made["plan"]["left_out"].values())
                return answer(RETCODES["incomplete" if missing else "done"], made["text"], plan=made["plan"])
            if made["plan"]["settings"]["approve"]:
                text = made["text"] + "\n\nNothing was started: pillar klp_campaign:approve wants the id of a plan."
                return answer(RETCODES["open"], text, plan=made["plan"])
            name = made["plan"]["id"]
        return self._drive([self._begin(str(name))])[0]

    def _begin(self, name):
        plan = self.store.plan(name)
        with self.store.beginning():
            if not self.store.begun(name):
                self._may_begin(plan)
                self.store.begin(name)
        return name

    def _may_begin(self, plan):
        age, limit = time.time() - plan["created"], plan["settings"]["max_age"]
        if age > 3600 * limit:
            raise CommandExecutionError(f"plan {plan['id']} is {show.span(age)} old, at most {limit} h are allowed")
        taken = self.store.taken()
        both = {host: taken[host] for host in plan["hosts"] if host in taken}
        if both:
            host = min(both)
            raise CommandExecutionError(
                f"{len(both)} hosts of plan {plan['id']} are in a campaign that is not over ({host}: {both[host]}); "
                f"end that one first (salt-run klp.status {both[host]}), or make a new plan"
            )
        banned = {(item["package"], item["edition"]) for item in self.store.quarantine()}
        brought = {(item["package"], item["target"]) for item in plan["hosts"].values() if decide.changed(item)}
        wrong = sorted(banned & brought)
        if wrong and plan["kind"] == "patch":
            raise CommandExecutionError(f"{wrong[0][0]} {wrong[0][1]} has come into quarantine since; make a new plan")

    def resume(self, name, who):
        """Go on with a campaign, or with all that are not over, not paused and driven by nobody."""
        if name:
            campaign = self._campaign(name)
            if not campaign.begun and not self.store.begun(name):
                raise CommandExecutionError(f"plan {name} has not begun; begin it with: salt-run klp.run {name}")
            wish = self.store.wished(name) or {"number": 0}
            unread = wish["number"] > campaign.wish and wish["want"] == "pause"
            if (campaign.paused or unread) and not campaign.over:
                self.store.wish(name, "resume", who, time.time())
            return self._drive([name])[0]
        names = [one for one in self.store.open_campaigns() if not self._campaign(one).paused]
        names = [one for one in names if not self.store.driven(one)]
        done = self._drive(names)
        text = "\n\n".join(item["text"] for item in done) or "nothing to resume"
        return answer(max((item["retcode"] for item in done), default=0), text, campaigns=names)

    def _drive(self, names):
        """Drive campaigns, step by step in turn, until each is over or paused; return their answers."""
        with contextlib.ExitStack() as stack:
            drivers = [self._driver(name, stack) for name in names]
            try:
                turning.turn(drivers, progress)
            except turning.GoneError as exc:
                text = f"{exc}\nNothing is lost; go on, as the scheduler does, with: salt-run klp.resume"
                return [answer(RETCODES["interrupted"], text, error=str(exc), campaigns=names)]
        return [self.answer(name) for name in names]

    def _driver(self, name, stack):
        """Return what drives a campaign; it is let go when the stack is left."""
        try:
            journal = stack.enter_context(self.store.driving(name))
        except store.BusyError as exc:
            raise CommandExecutionError(
                f"another process drives campaign {name}; watch it with: salt-run klp.status {name} watch=5"
            ) from exc
        reach = self.hands(name)
        stack.callback(reach.close)
        plan = self.store.plan(name)
        return drive.Driver(self.store, plan, journal, reach, say=teller(plan))

    # -- wishing -----------------------------------------------------------------------------------------------

    def wish(self, name, want, who):
        """Pause or abort a campaign: no host is started after this returns."""
        campaign = self._campaign(name)
        if campaign.over:
            raise CommandExecutionError(f"campaign {name} is over ({campaign.result})")
        if not self.store.begun(name):
            raise CommandExecutionError(f"plan {name} has not begun: there is nothing to {want}")
        self.store.wish(name, want, who, time.time())
        if want == "abort" and not self.store.driven(name):
            return self._drive([name])[0]
        how = "the process that drives it" if self.store.driven(name) else f"salt-run klp.resume {name}"
        text = f"campaign {name}: {want} is written down, no further host is started; {how} does the rest"
        return answer(0, text, campaign=summary(campaign, None))

    def release(self, package, edition, who):
        """Take a live patch out of quarantine."""
        if not self.store.release(str(package), str(edition)):
            banned = ", ".join(f"{item['package']} {item['edition']}" for item in self.store.quarantine()) or "nothing"
            raise CommandExecutionError(f"{package} {edition} is not in quarantine; there is: {banned}")
        reach = self.hands("quarantine")
        reach.tell("release", {"package": str(package), "edition": str(edition), "by": who})
        reach.close()
        return answer(0, f"{package} {edition} may be installed again", quarantine=self.store.quarantine())


def teller(plan):
    """Return what tells of each entry of a campaign's journal."""

    def tell(entry):
        for line in show.line(plan, entry):
            progress(line)

    return tell


def user():
    """Return who gives the order, as sudo knows it."""
    return salt.utils.user.get_specific_user()
