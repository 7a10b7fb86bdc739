"""A fleet of real minions, each in a lab host that survives it, and campaigns over it through the runner klp."""

from __future__ import annotations

import contextlib
import functools
import json
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.functional.conftest import BACKUP, BACKUP_SCRIPT, VERIFY, VERIFY_SCRIPT, volumes
from tests.integration.conftest import PILLAR, minion
from tests.lab.host import Host
from tests.lab.minion import LabMinion

HOSTS = ("web1", "web2", "web3", "web4", "web5", "web6")
WAVES = [{"name": "canary", "take": 1}, {"name": "second", "take": 2}, {"name": "rest"}]
SECRET = "REGCODE-nobody-may-see-this-7f3a"  # in the pillar of every host, and nowhere else
# Quick looks and no soak: what takes minutes in a fleet takes seconds here.
CAMPAIGN: dict = {
    "target": "web*",
    "target_type": "glob",
    "waves": WAVES,
    "order": "name",
    "batch": 3,
    "soak": {"minutes": []},
    "presence": {"timeout": 15},
    "limits": {"look": 2, "host_timeout": 240},
}


class Crew:
    """Hosts ``web1`` to ``web6`` with their minions, the master's pillar, and ``salt-run``."""

    def __init__(self, master, lab, pillar, root):
        self.master, self.lab, self.pillar, self.root = master, lab, pillar, root
        self.hosts: dict[str, Host] = {}
        self.minions: dict[str, LabMinion] = {}
        pillar.only("master", {})

    # -- life ------------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def mustered(self, names=HOSTS):
        """Have fresh hosts with their minions, and dismiss them in the end."""
        try:
            self.muster(names)
            yield self
        finally:
            self.dismiss(names)

    def muster(self, names=HOSTS, golden="enabled"):
        """Start fresh hosts with their minions, all at once."""
        self.dismiss(names)
        for name in names:
            self.declare(name)
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda name: self._host(name, golden), names))
        for name in names:
            self.minions[name] = minion(self.master, name, lab=self.lab, inside=self.hosts[name])
        with ThreadPoolExecutor() as pool:
            list(pool.map(LabMinion.start, (self.minions[name] for name in names)))
        cli = self.master.salt_cli(timeout=120)
        assert cli.run("-L", "saltutil.sync_all", minion_tgt=",".join(names)).returncode == 0
        assert cli.run("-L", "state.apply", "klp", minion_tgt=",".join(names)).returncode == 0

    def declare(self, *names, **klp):
        """Give hosts keys of the pillar beside those that all hosts have."""
        for name in names:
            self.pillar.only(name, {**PILLAR["klp"], "product": {"regcode": SECRET}, **klp})
        there = [name for name in names if name in self.minions]
        if there:
            cli = self.master.salt_cli(timeout=60)
            refreshed = cli.run("-L", "saltutil.refresh_pillar", "wait=True", minion_tgt=",".join(there))
            assert refreshed.data == (dict.fromkeys(there, True) if len(there) > 1 else True), refreshed

    def _host(self, name, golden):
        host = self.hosts[name] = Host(self.lab, name, golden, bind=[Path(self.root)]).start()
        host.write(BACKUP, BACKUP_SCRIPT, mode=0o755)
        host.write(VERIFY, VERIFY_SCRIPT, mode=0o755)

    def dismiss(self, names=HOSTS):
        """Stop minions and hosts."""
        with ThreadPoolExecutor() as pool:
            list(pool.map(self._dismiss, names))

    def _dismiss(self, name):
        if name in self.minions:
            self.minions.pop(name).terminate()
        if name in self.hosts:
            self.hosts.pop(name).stop()

    # -- commands ----------------------------------------------------------------------------------------------------

    def argv(self, *args, out="json"):
        """Return the command line of ``salt-run``."""
        program = Path(sys.executable).parent / "salt-run"
        output = [f"--out={out}"] if out else []
        return [sys.executable, str(program), "-c", str(self.master.config_dir), *output, *args]

    def start(self, *args, **kwargs):
        """
        Start ``salt-run`` as a terminal does, and return its process.

        What a shell without job control has put into the background ignores Ctrl-C, and so does all that it starts.
        """
        kwargs.setdefault("preexec_fn", functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL))
        kwargs.setdefault("stdout", subprocess.PIPE)
        kwargs.setdefault("stderr", subprocess.PIPE)
        return subprocess.Popen(self.argv(*args), text=True, stdin=subprocess.DEVNULL, **kwargs)

    def run(self, *args, out="json", timeout=300):
        """Run ``salt-run ARGS``: ``(exit code, document, what it told meanwhile)``."""
        done = subprocess.run(self.argv(*args, out=out), capture_output=True, text=True, timeout=timeout, check=False)
        if out != "json":
            return done.returncode, done.stdout, done.stderr
        return done.returncode, document(done.stdout, done.stderr), done.stderr

    def plan(self, kind="patch", **changed):
        """Make a plan with the settings of CAMPAIGN and some others; return it."""
        pillar = json.dumps({"klp_campaign": {**CAMPAIGN, **changed}})
        code, found, told = self.run("klp.plan", f"kind={kind}", f"pillar={pillar}")
        assert code == 0, (found, told)
        print(found["text"])
        return found["plan"]

    # -- what is to be seen --------------------------------------------------------------------------------------------

    def editions(self, name):
        """Return the live patch packages that are installed on each host."""
        return {host: found.editions(name) for host, found in self.hosts.items()}

    def folder(self):
        """Return the folder in which the master keeps its campaigns."""
        return Path(self.master.config["root_dir"]) / "var/lib/salt-klp"

    def backups(self):
        """Return for each host the runs that made a backup."""
        return {host: [run for _, run, _ in volumes(found)] for host, found in self.hosts.items()}


def document(stdout, stderr):
    """Return the JSON document that a command printed."""
    with contextlib.suppress(ValueError):
        return json.loads(stdout)
    raise AssertionError(f"no document: {stdout}\n{stderr}")


def states(answer, name):
    """Return the states of a minion by id."""
    assert isinstance(answer.data[name], dict), answer
    return {state["__id__"]: state for state in answer.data[name].values()}


def results(answer, name):
    """Return the results of a minion's states by id."""
    return {ident: state["result"] for ident, state in states(answer, name).items()}
