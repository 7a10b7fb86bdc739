"""
How the whole fleet stands: the documents of all hosts, and what is written from them. Asks, never changes a host.
"""

from __future__ import annotations

import json
import os
import time

from salt.exceptions import CommandExecutionError, SaltDeserializationError, SaltInvocationError

import klp_checks

from . import (
    agenda,
    answers,
    collected,
    decide,
    documents,
    due,
    emergency,
    emergency_ask,
    emergency_show,
    evidence,
    fleet,
    isoweeks,
    kinds,
    metrics,
    page,
    publish,
    reporting,
    retarget,
    retarget_show,
    schema,
    sheet,
    show,
    targets,
)
from .commands import Commands
from .outcome import RETCODES, answer, progress
from .words import count

HOST, KERNELS = "klp_audit.host", "klp_audit.kernels"
UNREAD = "its mine cannot be read"
BROKEN = 5  # hosts whose mine may be like that
MINED = 500  # hosts whose documents are read from the mine at once


class Survey(Commands):
    """The commands about the fleet, besides those about campaigns; ``mine`` is the runner function ``mine.get``."""

    def __init__(self, opts, compare, mine):
        super().__init__(opts, compare)
        self.mine = mine

    def audit(self, pillar):
        """Ask all hosts of the target for their verdict."""
        settings = self.settings(pillar)
        hosts, _, strange = self._members(settings)
        reach, patience = self.hands("audit"), settings["presence"]
        verdicts = {host: {"verdict": klp_checks.UNKNOWN, "why": why} for host, why in strange.items()}
        for first in range(0, len(hosts), decide.ASK):
            part = hosts[first : first + decide.ASK]
            progress(f"asking {first + len(part)} of {count(len(hosts), 'host')}")
            # Who is there may need as long as for a preview: lsinitrd, and the application of the host.
            present = sorted(reach.ask(part, "test.ping", [], patience["timeout"]))
            got = reach.ask(present, "klp.verify", [], patience["outlook"]) if present else {}
            for host in part:
                verdict, why = answers.verdict(host, got[host]) if host in got else ("unreachable", "no answer")
                verdicts[host] = {"verdict": verdict, "why": why}
        reach.close()
        good = all(item["verdict"] in klp_checks.GOOD for item in verdicts.values())
        return answer(0 if good else RETCODES["incomplete"], show.audit_text(verdicts), hosts=verdicts)

    # -- plan ----------------------------------------------------------------------------------------------------

    def plan(self, kind, pillar, who, week=None, cve=None):
        """
        Make a plan, of all hosts or of some of them.

        week
            2027-W03: those that the report proposes to restart then.
        cve
            those that this plan closes the CVE on.
        """
        if cve is not None:
            return self._plan_for(kind, pillar, who, week, cve)
        if week is None:
            return super().plan(kind, pillar, who)
        problem = isoweeks.problem(week, kinds.day(time.time()))
        if kind != "kernel":
            problem = due.KIND.format(schema.show(kind))
        if problem:
            raise SaltInvocationError(problem)
        settings = self._report_settings(None, None, pillar)
        found = due.Due(week, self._summary(settings)[0])
        problem = found.problem()
        if problem:
            raise SaltInvocationError(problem)
        return super().plan(kind, pillar, who, found)

    def _plan_for(self, kind, pillar, who, week, cve):
        problem = emergency_ask.BOTH if week is not None else None
        if kind not in emergency_ask.CATEGORY:
            problem = emergency_ask.KIND.format(schema.show(kind))
        if problem:
            raise SaltInvocationError(problem)
        names = emergency_ask.names(cve)
        found = emergency_ask.answer(self, names, self._report_settings("none", None, pillar))
        return super().plan(kind, pillar, who, emergency_ask.Concerned(kind, found))

    # -- one CVE -------------------------------------------------------------------------------------------------

    def cve(self, cve, ask, pillar):
        """Return where the fleet stands with one CVE or some: from the documents that are there, or asked for."""
        names = emergency_ask.names(cve)
        found = emergency_ask.answer(self, names, self._report_settings(ask or "none", None, pillar))
        word = {"fixed": "done", "open": "incomplete", "unknown": "unknown"}[emergency.verdict(found)]
        return answer(RETCODES[word], emergency_show.text(found), **found)

    # -- report --------------------------------------------------------------------------------------------------

    def fleet(self, ask, folder, pillar):
        """Collect the documents of all hosts and write the report in every format that is wanted."""
        settings = self._report_settings(ask, folder, pillar)
        if "icalendar" in settings["formats"]:
            agenda.library()  # before hosts are asked
        summary, found, silent = self._summary(settings)
        where = settings["folder"] or os.path.join(self.store.folder, "report")
        written = self._publish(where, settings, found, silent, summary)
        text = reporting.text(summary, written)
        return answer(reporting.retcode(summary, RETCODES["incomplete"]), text, report=summary, files=written)

    def _summary(self, settings):
        """Collect the documents of all hosts: ``(summary, {host: document}, {host: why there is none})``."""
        hosts, strange = targets.wanted(self.opts, settings["target"], settings["target_type"])
        found, silent, foreign = self._documents(hosts, settings)
        silent.update(strange)
        limits = {"old": settings["max_age"], **{key: settings[key] for key in ("share", "weeks", "warn", "debt")}}
        return fleet.summary(found, silent, limits, time.time(), foreign), found, dict(silent, **foreign)

    # -- kernels -------------------------------------------------------------------------------------------------

    def kernels(self, pillar):
        """Ask all hosts of the report which kernels they could run, and return one for each group."""
        settings = self._report_settings(None, None, pillar)
        _, whole, silent = self._summary(settings)
        told = {host: {key: found[key] for key in ("group", "os", "kernel_target")} for host, found in whole.items()}
        found: dict = {}
        mute: dict = {}
        for part, got in self._asked("kernels", sorted(told), KERNELS, "list of kernels", settings, mute):
            self._take(got, part, found, mute, mute, retarget.kernels)
        plan = retarget.plan(told, found, {**silent, **mute})
        retcode = 0 if retarget.complete(plan) else RETCODES["incomplete"]
        return answer(retcode, retarget_show.text(plan), **plan)

    def _report_settings(self, ask, folder, pillar):
        found, problems = reporting.settings(self.pillar(pillar, "klp_report"), self.compare)
        given = {"ask": ask, "folder": folder}
        more, wrong = reporting.settings(
            dict(found, **{key: value for key, value in given.items() if value is not None}), self.compare
        )
        if problems or wrong:
            raise SaltInvocationError("; ".join(problems or wrong))
        return more

    def _documents(self, hosts, settings):
        """
        Return the documents from the mine, or asked for.

        Returns ``(collected.Documents, {host: why there is none}, {host of another system: its sentence})``.
        """
        found, silent, foreign = collected.Documents(), {}, {}
        if settings["ask"] != "all":
            for first in range(0, len(hosts), MINED):
                part = hosts[first : first + MINED]
                self._take(self._mined(part, silent), part, found, silent, foreign)
        old = time.time() - 3600 * settings["max_age"]
        wanted = [host for host in hosts if found.times.get(host, 0) < old]
        if settings["ask"] == "none" or not wanted:
            for host in wanted:
                if host not in found:
                    silent.setdefault(host, "no document in the mine; klp.report ask=missing asks for it")
        else:
            self._ask(wanted, settings, found, silent, foreign)
        return found, {host: why for host, why in silent.items() if not (host in found or host in foreign)}, foreign

    def _mined(self, hosts, silent):
        """
        Return what the mine has of some hosts; ``silent`` learns of whom Salt cannot read it back.

        Raises CommandExecutionError where these are more than a few: then it is not the hosts.
        """
        try:
            return self.mine(hosts, HOST, "list")
        except SaltDeserializationError as exc:
            if len(hosts) > 1:
                half = len(hosts) // 2
                return {**self._mined(hosts[:half], silent), **self._mined(hosts[half:], silent)}
            silent[hosts[0]] = f"{UNREAD} ({exc}); klp.report ask=missing asks for its document"
            if sum(why.startswith(UNREAD) for why in silent.values()) > BROKEN:
                raise CommandExecutionError(
                    f"the mine cannot be read ({exc}); ask the hosts themselves: salt-run klp.report ask=all"
                ) from exc
            return {}

    def _ask(self, wanted, settings, found, silent, foreign):
        for part, got in self._asked("report", wanted, HOST, "document", settings, silent):
            self._take(got, part, found, silent, foreign)

    def _asked(self, name, wanted, function, what, settings, silent, arg=()):
        """Yield ``(some of the hosts, what they answer)`` to a function; ``silent`` learns who does not answer."""
        reach = self.hands(name)
        try:
            for first in range(0, len(wanted), decide.ASK):
                part = wanted[first : first + decide.ASK]
                progress(f"asking {part[0]} to {part[-1]}: {first + len(part)} of {count(len(wanted), 'host')}")
                present = sorted(reach.ask(part, "test.ping", [], settings["presence"]))
                silent.update(dict.fromkeys(set(part) - set(present), "no answer; is its minion running?"))
                got = reach.ask(present, function, [*arg], settings["timeout"]) if present else {}
                for host in set(present) - set(got):
                    silent[host] = f"no {what} within {count(settings['timeout'], 'second')}"
                yield part, got
        finally:
            reach.close()

    def _take(self, got, hosts, found, silent, foreign, form=documents.document):
        """Keep what hosts have answered, as far as it may be believed."""
        for host in hosts:
            if not isinstance(got, dict) or host not in got:
                continue
            try:
                found[host] = form(host, got[host])
            except answers.ForeignError as exc:
                foreign[host] = str(exc)
            except answers.NonsenseError as exc:
                unsynced = str(exc) == answers.UNSYNCED.format(host)
                other = targets.other_system(self.opts, host) if unsynced else None
                (foreign if other else silent)[host] = other or str(exc)

    def _publish(self, folder, settings, found, silent, summary):
        formats = settings["formats"]
        writer = publish.Folder(folder, settings["readable"], ours=not settings["folder"])
        if "json" in formats:
            writer.put("report.json", reporting.whole(found, silent, summary))
        if "csv" in formats:
            writer.put("report.csv", sheet.lines(found, silent, summary))
        if "prometheus" in formats:
            writer.put("salt_klp.prom", metrics.lines(found, silent, summary))
        if "html" in formats:
            writer.put("report.html", page.texts(summary))
        if {"openvex", "openvex_hosts"} & {*formats}:
            writer.replace("vex", self._evidence(settings, found, summary["made"]))
        if "icalendar" in formats:
            writer.put("restarts.ics", [agenda.text(summary, self.opts["id"])])
        return writer.written

    def _evidence(self, settings, found, made):
        """Yield ``(name, texts)`` of each file with evidence."""
        author = settings["author"] or f"Salt master {self.opts['id']}"
        if "openvex" in settings["formats"]:
            whole = evidence.fleet(found, author, made, reporting.COMMAND.format("*"))
            if whole:
                yield "fleet.openvex.json", whole
        if "openvex_hosts" in settings["formats"]:
            for host, document in found.items():
                part = evidence.host(document, author, reporting.COMMAND.format(host))
                if part:
                    yield f"hosts/{host}.openvex.json", [json.dumps(part, indent=1)]
