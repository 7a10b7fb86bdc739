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
    decide,
    documents,
    due,
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

    def plan(self, kind, pillar, who, week=None):
        """Make a plan; ``week`` (2027-W03): only of the hosts that the report proposes to restart then."""
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
        _, told, silent = self._summary(settings)
        found: dict = {}
        mute: dict = {}
        for part, got in self._asked("kernels", sorted(told), KERNELS, "list of kernels", settings, mute):
            self._take(got, part, found, mute, mute, retarget.kernels)
        whole = retarget.plan(told, found, {**silent, **mute})
        retcode = 0 if retarget.complete(whole) else RETCODES["incomplete"]
        return answer(retcode, retarget_show.text(whole), **whole)

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

        Returns ``({host: document}, {host: why there is none}, {host of another system: its sentence})``.
        """
        found, silent, foreign, now = {}, {}, {}, time.time()
        if settings["ask"] != "all":
            self._take(self._mined(settings), hosts, found, silent, foreign)
        old = now - 3600 * settings["max_age"]
        wanted = [host for host in hosts if host not in found or found[host]["time"] < old]
        if settings["ask"] == "none" or not wanted:
            for host in wanted:
                if host not in found:
                    silent.setdefault(host, "no document in the mine; klp.report ask=missing asks for it")
        else:
            self._ask(wanted, settings, found, silent, foreign)
        return found, {host: why for host, why in silent.items() if host not in {**found, **foreign}}, foreign

    def _mined(self, settings):
        """Return what the mine has. Raises CommandExecutionError: one host can put in what Salt cannot read back."""
        try:
            return self.mine(settings["target"], HOST, settings["target_type"])
        except SaltDeserializationError as exc:
            raise CommandExecutionError(
                f"the mine cannot be read ({exc}); ask the hosts themselves: salt-run klp.report ask=all"
            ) from exc

    def _ask(self, wanted, settings, found, silent, foreign):
        for part, got in self._asked("report", wanted, HOST, "document", settings, silent):
            self._take(got, part, found, silent, foreign)

    def _asked(self, name, wanted, function, what, settings, silent):
        """Yield ``(some of the hosts, what they answer)`` to a function; ``silent`` learns who does not answer."""
        reach = self.hands(name)
        try:
            for first in range(0, len(wanted), decide.ASK):
                part = wanted[first : first + decide.ASK]
                progress(f"asking {part[0]} to {part[-1]}: {first + len(part)} of {count(len(wanted), 'host')}")
                present = sorted(reach.ask(part, "test.ping", [], settings["presence"]))
                silent.update(dict.fromkeys(set(part) - set(present), "no answer; is its minion running?"))
                got = reach.ask(present, function, [], settings["timeout"]) if present else {}
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
            report = {"summary": summary, "documents": found, "silent": silent}
            writer.put("report.json", json.dumps(report, sort_keys=True, separators=(",", ":")))
        if "csv" in formats:
            writer.put("report.csv", sheet.text(found, silent, summary))
        if "prometheus" in formats:
            writer.put("salt_klp.prom", metrics.text(found, silent, summary))
        if "html" in formats:
            writer.put("report.html", page.html(summary))
        if "openvex" in formats:
            self._evidence(writer, settings, found, summary["made"])
        if "icalendar" in formats:
            writer.put("restarts.ics", agenda.text(summary, self.opts["id"]))
        return writer.written

    def _evidence(self, writer, settings, found, made):
        author = settings["author"] or f"Salt master {self.opts['id']}"
        whole = evidence.fleet(found, author, made, reporting.COMMAND.format("*"))
        parts = {"fleet.openvex.json": whole} if whole else {}
        for host in sorted(found):
            part = evidence.host(found[host], author, reporting.COMMAND.format(host))
            if part:
                parts[f"hosts/{host}.openvex.json"] = part
        writer.replace("vex", {name: json.dumps(part, indent=1) for name, part in parts.items()})
