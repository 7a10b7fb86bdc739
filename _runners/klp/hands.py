"""
What reaches the hosts: Salt's own client, job cache and event bus, and nothing beside them.

Events only say that it is worth looking: a minion can send events of any name, so answers are taken from the master's
job cache, where Salt puts them under the id of the minion whose key it has checked.
"""

from __future__ import annotations

import contextlib
import io
import time

import salt.client
import salt.minion
import salt.utils.event
import salt.utils.jid
import salt.utils.user
from salt.exceptions import (
    AuthenticationError,
    AuthorizationError,
    EauthAuthenticationError,
    SaltClientError,
    SaltReqTimeoutError,
    TokenAuthenticationError,
)

from . import job_cache
from .turning import GoneError, RefusedError

DENIED = (AuthenticationError, AuthorizationError, EauthAuthenticationError, TokenAuthenticationError)

WISH = 5  # seconds between two looks for a pause or abort request
PUBLISH = 30  # seconds that the master may take to accept a job
REST = 10  # after a look at the job cache: so many times its duration until the next one
# They change nothing and may be asked twice: after a restart of the master (seen with Salt 3007) an answer may
# be lost, or the question.
LIGHT = ("test.ping", "saltutil.is_running", "klp_audit.state_summary", "klp_audit.host", "klp.verify")
TAG = "salt-klp"
TOLD = 1000  # hosts that an event names


def usable(opts):
    """Return what in a master's configuration keeps campaigns from working, or ``None``."""
    if opts.get("ext_job_cache"):
        return "master option ext_job_cache is set: campaigns read the answers from the master's own job cache"
    if opts.get("job_cache") is False:
        return "master option job_cache is false: campaigns read the answers from the job cache"
    if opts.get("minimum_auth_version", 3) < 3:
        return "master option minimum_auth_version is below 3: a minion could answer in the name of another"
    return None


class Question:
    """
    A question to many hosts.

    ``found`` are the answers so far, ``jids`` its jobs, ``until`` the moment (monotonic) when it is looked at again.
    """

    def __init__(self, hands, hosts, fun, arg, timeout):
        self._hands, self._what = hands, (fun, arg)
        self.jids, self._left, self.found = [hands.publish(hosts, fun, arg)], set(hosts), {}
        self._deadline = time.monotonic() + timeout
        self.until = self._deadline - timeout / 2 if fun in LIGHT else self._deadline

    def over(self):
        """Take the answers that have come; return whether all have, or the time is over."""
        for jid in self.jids:
            for host, answer in self._hands.answers(jid, self._left).items():
                self.found[host] = answer["return"] if isinstance(answer, dict) and "return" in answer else answer
                self._left.discard(host)
        now = time.monotonic()
        if self._left and self.until <= now < self._deadline:
            self.jids.append(self._hands.publish(sorted(self._left), *self._what))
            self.until = self._deadline
        over = not self._left or now >= self._deadline
        if over:
            self._hands.forget(self.jids)
        return over


class Hands:
    """Salt's side of a campaign; ``close`` it in the end."""

    def __init__(self, opts, campaign):
        self.opts, self.campaign = opts, campaign
        self._bus = self._open()
        self._minion = salt.minion.MasterMinion(opts, states=False, rend=False)
        self._get_jid = job_cache.reader(opts, self._minion.returners[f"{opts['master_job_cache']}.get_jid"])
        self._next: dict = {}  # jid -> when its answers may be read again
        self._news: set = set()  # jids of which an event was seen

    def _open(self):
        return salt.utils.event.get_event("master", opts=self.opts, sock_dir=self.opts["sock_dir"], listen=True)

    def close(self):
        """Let go of the event bus and of what Salt has loaded."""
        self._bus.destroy()
        if hasattr(self._minion, "destroy"):  # from Salt 3008 on
            self._minion.destroy()

    def now(self):
        """Return the time in seconds since 1970."""
        return time.time()

    def ticks(self):
        """Return the seconds of a clock that nobody sets."""
        return time.monotonic()

    def new_jid(self):
        """Return a job id that nobody has."""
        return salt.utils.jid.gen_jid(self.opts)

    def send(self, jid, hosts, fun, arg, kwarg=None):
        """Give a job with this id to hosts. Raises GoneError where the master takes none, RefusedError of this user."""
        try:
            # What the client prints (no minion matched) is found out by the answers that do not come.
            with contextlib.redirect_stdout(io.StringIO()), salt.client.LocalClient(mopts=self.opts) as client:
                client.run_job(list(hosts), fun, arg=arg, kwarg=kwarg, tgt_type="list", jid=jid, timeout=PUBLISH)
        except DENIED as exc:
            who, more = salt.utils.user.get_specific_user(), f" and {len(hosts) - 1} more" if len(hosts) > 1 else ""
            raise RefusedError(
                f"Salt does not let user {who} run {fun} on {next(iter(hosts))}{more} ({exc}): the master options "
                "publisher_acl, publisher_acl_blacklist, sudo_acl and external_auth say who may"
            ) from exc
        except (SaltClientError, SaltReqTimeoutError, OSError) as exc:
            raise GoneError(f"the master does not take jobs ({exc}); is salt-master running?") from exc

    def answers(self, jid, hosts):
        """Return answers that have come to a job, ``{host: {"return", "retcode", "success"}}``, perhaps not all."""
        if time.monotonic() < self._next.get(jid, 0):
            return {}
        begun = time.monotonic()
        found = self._get_jid(jid)
        self._news.discard(jid)
        self._next[jid] = time.monotonic() + REST * (time.monotonic() - begun)
        return {host: found[host] for host in hosts if host in found}

    def ask(self, hosts, fun, arg, timeout):
        """
        Ask hosts and wait for all answers, ``timeout`` seconds at most: ``{host: what it returned}``.

        A light question is retried halfway through the timeout for hosts that are silent.
        """
        question = self.question(hosts, fun, arg, timeout)
        while not question.over():
            self.listen(question.until, question.jids)
        return question.found

    def question(self, hosts, fun, arg, timeout):
        """Ask hosts without waiting for their answers; ``over`` of what is returned takes those that have come."""
        return Question(self, hosts, fun, arg, timeout)

    def listen(self, until, jids):
        """Wait for an answer to one of these jobs, at most until a moment of the monotonic clock or for a second."""
        self._listen(max(0.02, min(1.0, until - time.monotonic())), jids)

    def publish(self, hosts, fun, arg):
        """Give a new job to hosts; return its id."""
        jid = self.new_jid()
        self.send(jid, hosts, fun, arg)
        return jid

    def forget(self, jids):
        """Nobody reads the answers to these jobs any more."""
        for jid in jids:
            self._next.pop(jid, None)

    def wait(self, seconds):
        """Wait until something has come from a host, or so many seconds; a person is never kept waiting for longer."""
        seconds = min(seconds, WISH)
        if not self._news and not self._listen(seconds, None):
            self._bus.destroy()  # the bus of a master that was started again is another one
            self._bus = self._open()
        pause = max((self._next.get(jid, 0) for jid in self._news), default=0) - time.monotonic()
        if pause > 0:
            time.sleep(min(pause, seconds))
        self._news.clear()

    def _listen(self, seconds, jids):
        """Listen to the bus until an answer comes (to one of these jobs, if given); returns whether one did."""
        deadline = time.monotonic() + seconds
        while True:
            event = self._bus.get_event(wait=max(0.01, deadline - time.monotonic()), tag="salt/job/", full=True)
            parts = event["tag"].split("/") if event else []
            if len(parts) == 5 and parts[3] == "ret":
                self._news.add(parts[2])
                if jids is None or parts[2] in jids:
                    return True
            if time.monotonic() >= deadline:
                return False

    def tell(self, what, entry):
        """Put a step on the event bus, for returners, reactors and engines; whoever does not listen misses nothing."""
        data = dict(entry, campaign=self.campaign)
        for key in ("hosts", "back"):
            hosts = data.get(key)
            if hosts is not None and len(hosts) > TOLD:
                data.update({key: list(hosts)[:TOLD], "more": len(hosts) - TOLD})
        self._bus.fire_event(data, f"{TAG}/{self.campaign}/{what}")
