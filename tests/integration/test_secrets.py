"""A registration code in the pillar: all that a real master, its minions and their hosts write is searched for it."""

import contextlib
import json
import os
import re
import stat
import subprocess
import threading
from pathlib import Path

import pytest

from tests.functional.conftest import LP, THIRD
from tests.functional.registration import CODE, PRODUCT, WRONG, activations, files_with
from tests.integration.conftest import COMMAND_BACKEND, minion, new_master
from tests.integration.crew import CAMPAIGN, Crew
from tests.lab.host import wait_until
from tests.lab.minion import LabMinion

CODES = {"vault": CODE, "wrong": WRONG}  # the second one is a code that the server refuses
BEGIN, END = "klp/test/begin", "klp/test/end"
LOUD = {"log_level_logfile": "debug"}
# Where Salt itself keeps a pillar: the file that it is read from, and the master's cache of each minion's data.
KEPT = re.compile(r"/(?:site-)?pillar\d*/\w+\.sls$|/cache/minions/\w+/data\.p$|/cache/pillar/\w+\.p$")


class Watch:
    """The command line and the environment of every process of the machine, as root sees them."""

    def __init__(self):
        self.seen, self._over = set(), threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self._thread.join()

    def _run(self):
        while not self._over.wait(0.02):
            for process in Path("/proc").glob("[0-9]*"):
                for name in ("cmdline", "environ"):
                    with contextlib.suppress(OSError):
                        self.seen.add((process / name).read_bytes())


class Vault(Crew):
    """A master and two minions that write all into their logs, on hosts that still have to be registered."""

    def open(self):
        for name, code in CODES.items():
            self.pillar.only(name, {"backup": COMMAND_BACKEND, "product": {"regcode": code}})
            self._host(name, "fresh")
            self.hosts[name].install_fake("SUSEConnect")
            self.minions[name] = minion(self.master, name, lab=self.lab, inside=self.hosts[name], overrides=LOUD)
            LabMinion.start(self.minions[name])
        self.cli = self.master.salt_cli(timeout=180)

    def salt(self, *args):
        done = self.cli.run("-L", *args, minion_tgt=",".join(CODES))
        return done.stdout + done.stderr

    def listen(self, file):
        """Return a running ``salt-run state.event``; it listens, since it has seen the first event."""
        process = self.start("state.event", "pretty=False", stdout=file, stderr=subprocess.STDOUT)
        wait_until(lambda: self.tell(BEGIN) and BEGIN in Path(file.name).read_text(), 60, "the first event")
        return process

    def tell(self, tag):
        return self.run("event.send", tag)[0] == 0

    def everything(self):
        """Do all that has to do with these hosts; return what the commands print."""
        settings = {**CAMPAIGN, "target": ",".join(CODES), "target_type": "list", "waves": [{"name": "all"}]}
        said = [self.salt("saltutil.sync_all"), self.salt("state.apply", "klp", "test=True")]
        said += [self.salt(*words) for words in (("state.apply", "klp"), ("klp.settings",), ("klp.verify",))]
        said += [self.salt(*words) for words in (("klp_audit.host",), ("mine.send", "klp_audit.host"))]
        code, found, told = self.run("klp.plan", "pillar=" + json.dumps({"klp_campaign": settings}))
        assert code == 0, (found, told)
        said += [json.dumps(found), told]
        for words in (("klp.run", found["plan"]["id"]), ("klp.report", found["plan"]["id"]), ("klp.status",)):
            said += [json.dumps(answer) for answer in self.run(*words)]
        report = {"klp_report": {"target": ",".join(CODES), "target_type": "list"}}
        return [*said, *(json.dumps(answer) for answer in self.run("klp.report", f"pillar={json.dumps(report)}"))]


@pytest.fixture(scope="module")
def vault(salt_factories, lab, pillar):
    master = new_master(salt_factories, pillar, **LOUD)
    with master.started():
        found = Vault(master, lab, pillar, salt_factories.root_dir)
        try:
            found.open()
            yield found
        finally:
            found.dismiss(tuple(CODES))


@pytest.fixture(scope="module")
def traces(vault, tmp_path_factory):
    """What was said, told on the bus and to be seen in the list of processes meanwhile."""
    path = tmp_path_factory.mktemp("events") / "events"
    with Watch() as watch, path.open("w") as file:
        listener = vault.listen(file)
        try:
            said = vault.everything()
            wait_until(lambda: vault.tell(END) and END in path.read_text(), 60, "the last event")
        finally:
            listener.terminate()
            listener.wait(timeout=60)
    return {"said": "\n".join(said), "events": path.read_text(), "processes": watch.seen}


def where(folder, codes):
    """Return the files below a folder that hold one of the codes."""
    found = set()
    for place, _, names in os.walk(folder):
        for path in (os.path.join(place, name) for name in names):
            with contextlib.suppress(FileNotFoundError):  # Salt's own, that comes and goes
                content = Path(path).read_bytes() if stat.S_ISREG(os.lstat(path).st_mode) else b""
                found |= {path} if any(code.encode() in content for code in codes) else set()
    return found


def test_the_codes_came_to_their_hosts(vault, traces):
    """Otherwise nothing would be proved by what is not found."""
    assert activations(vault.hosts["vault"]) == [["--product", PRODUCT, "--regcode", "-"]]
    assert vault.editions(LP) == {"vault": [THIRD], "wrong": []}
    assert "Unknown Registration Code" in traces["said"]


@pytest.mark.parametrize("code", CODES.values())
def test_no_answer_and_no_event_holds_a_code(traces, code):
    assert BEGIN in traces["events"] and END in traces["events"]
    assert "salt/job/" in traces["events"] and "salt-klp/" in traces["events"]
    assert code not in traces["events"]
    assert code not in traces["said"]


@pytest.mark.parametrize("code", CODES.values())
def test_no_process_has_a_code_on_its_command_line_or_in_its_environment(vault, traces, code):
    assert any(b"klp.run" in text for text in traces["processes"])
    assert [text for text in traces["processes"] if code.encode() in text] == []
    for host in vault.hosts.values():
        assert [program for program in host.programs() if any(code in word for word in program.argv)] == []


def test_no_log_and_no_other_file_of_master_and_minions_holds_a_code(vault, traces, salt_factories):
    """Logs are at level debug; the job cache, the mine and the campaigns of the master are among the files."""
    root = Path(salt_factories.root_dir)
    logs = [path for path in root.rglob("*") if path.parent.name == "logs" and path.stat().st_size > 1000]
    assert len(logs) >= 3, logs
    found = where(root, CODES.values())
    assert found  # those that are Salt's own
    assert [path for path in found if not KEPT.search(path)] == []


def test_no_file_of_a_host_holds_a_code(vault, traces):
    """What master and minions write below the root of their own is the test's above."""
    for name, code in CODES.items():
        found = {path for path in files_with(vault.hosts[name], code) if not path.startswith(str(vault.root))}
        assert found <= {"/var/lib/lab/suseconnect.json", "/etc/lab/faults.json"}
