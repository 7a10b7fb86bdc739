"""A real master that is called as in the documentation, three minions in lab hosts, and a shell for its commands."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import yaml

from tests import pages
from tests.functional.conftest import FIRST, LP
from tests.integration.conftest import QUIET, minion
from tests.lab.build import CHECKOUT
from tests.lab.host import Host, wait_until
from tests.lab.minion import LabMinion

HOSTS = {"web1": "fresh", "web2": "enabled", "web3": "enabled"}
MASTER = "salt.example.com_master"
PLACEHOLDER = "c3f2a9c01d4e"  # the id of a plan, in all pages
HOST_TUTORIAL, CAMPAIGN_TUTORIAL = "docs/tutorial/first-host.md", "docs/tutorial/first-campaign.md"
KERNEL_TUTORIAL = "docs/tutorial/yearly-kernel.md"
CAMPAIGN_PILLAR = "/srv/pillar/klp_campaign.sls"
# What no test runs as it stands, and why; with its page where that is only so there.
WAYS_IN = "With other names and paths, by tests/functional/test_ways_in.py."
ENGINE = "It wants a master with the engine: tests/{integration,unit}/test_campaign_engine.py."
NO_PACKAGES = "The packages and units of SUSE are not there: the tests start Salt's daemons themselves."
RESTARTS = "With other settings, by tests/integration/test_campaign_kernel.py."
EMERGENCY = "No host of the course names that CVE: tests/unit/test_runner_cve.py has some."
EXCEPTIONS: dict[str | tuple[str, str], str] = {
    "zypper install salt-master": NO_PACKAGES,
    "zypper install salt-minion": NO_PACKAGES,
    "systemctl enable --now salt-master": NO_PACKAGES,
    "systemctl enable --now salt-minion": NO_PACKAGES,
    "systemctl restart salt-master": NO_PACKAGES,
    "git clone URL /srv/salt-klp": "The address is yours; the tests use the checkout that they are in.",
    "make -C /srv/salt-klp install": "It writes below /usr; this course installs with DESTDIR.",
    "install -d -m 0700 -o salt /var/lib/salt-klp": "The machine of the tests has no user salt.",
    "make demo": "It takes its own minute; tests/unit/test_demo.py has what it judges by.",
    "make bench": "It takes many minutes, and measures; tests/unit/test_bench.py has what it judges by.",
    "make bench-host": "It takes six minutes, and measures; tests/functional/test_bench_host.py runs a part of it.",
    "make bench-fleet": "It takes many minutes, and measures; tests/unit/test_bench.py has what it judges by.",
    "make bench-report": "It takes a minute, and measures; tests/unit/test_bench.py has what it judges by.",
    "make bench-cve": "It takes a minute, and measures; tests/unit/test_bench.py has what it judges by.",
    "make bench-real": "It takes many minutes, and measures.",
    "make rpm": "It takes what is committed; tests/functional/test_packaging.py makes it from the sdist.",
    "make sdist": "The same.",
    "make install": "It writes below /usr; with DESTDIR it is run by tests/functional/test_ways_in.py.",
    "salt-pip install .": WAYS_IN,
    "/opt/saltstack/salt/bin/python3 -m saltext.klp > /etc/salt/master.d/salt-klp.conf": WAYS_IN,
    "salt-ssh web1 klp.status": WAYS_IN,
    "salt-ssh web1 state.apply klp test=True": WAYS_IN,
    "salt sles1 service.restart UNIT": "The unit is the one that klp.blockers names.",
    "salt sles1 system.reboot": "In a virtual machine, by tests/system.",
    "salt-run klp.run c3f2a9c01d4e wait=False": ENGINE,
    "salt-run klp.resume c3f2a9c01d4e wait=False": ENGINE,
    (
        "docker run --rm -it --privileged debian:12 sh -c 'apt-get update && apt-get install -y git make "
        "&& git clone URL salt-klp && make -C salt-klp demo'"
    ): "No container runs on the machine of the tests; the address is yours.",
    (
        "curl -sS https://salt.example.com:8000/run -H 'Accept: application/json' -d client=runner -d fun=klp.status "
        "-d eauth=pam -d username=anna --data-urlencode password@/root/.klp-password"
    ): "It wants a web server with a certificate; test_who_may.py asks what salt-api asks.",
    "salt-run klp.set_aside c3f2a9c01d4e": "It wants a damaged file; test_campaign_trouble.py has one.",
    "salt-run klp.plan kernel week=2027-W03": "Weeks pass: tests/unit/test_runner_week.py.",
    "salt-run klp.plan cve=CVE-2026-31431": EMERGENCY,
    "salt-run klp.plan kernel cve=CVE-2026-31431": EMERGENCY,
    (KERNEL_TUTORIAL, "salt web1 system.reboot"): "In hosts that GRUB starts, by test_docs_yearly_kernel.py.",
    """salt-run klp.plan kernel pillar='{"klp_campaign": {"reboot": true}}'""": RESTARTS,
    "salt-run state.orchestrate klp.orch.kernel": "As klp.orch.patch, by test_docs_commands.py; it restarts hosts.",
    "salt HOST state.apply klp.kernel_back": "In hosts that GRUB starts, by tests/functional/test_kernel_change.py.",
    ("README.md", "salt-run klp.release"): "The name of a command that wants two words.",
}
# What Python says of Salt's own code in the middle of an output: Salt 3007 does not run without it on Python 3.11.
WARNING = re.compile(r"^\S+\.py:\d+: \w*Warning: .*\n(?:  .*\n)?", re.MULTILINE)
PLANNED = re.compile(r"salt-run klp\.run (c[0-9a-f]{11})")
# Stands in for jq, which not every machine has: `jq -r .plan.id`.
JQ = "import json, sys; print(json.load(sys.stdin)['plan']['id'])"
# mailx(1): -s is the subject, then come the addresses; the text is on standard input.
MAIL = """#!/bin/sh
[ $# = 3 ] && [ "$1" = -s ] || exit 64
{{ echo "To: $3"; echo "Subject: $2"; echo; cat; }} >{folder}/mail.txt
"""
FIRST_MODULE = "livepatch_1_150500_9_3_1"
WEB_FOLDER = "/srv/www/klp"  # where an example writes a report
LOG = CHECKOUT / "build" / "log" / "docs-commands.txt"
PROGRAMS = ("salt", "salt-run", "salt-key")


class Course:
    """What a reader has who follows the pages."""

    def __init__(self, factories, lab, folder, goldens=None):
        self.lab, self.folder, self.root = lab, Path(folder), factories.root_dir
        self.plan = PLACEHOLDER
        (self.folder / "bin").mkdir()
        (self.folder / "pillar").mkdir()
        self.master = factories.salt_master_daemon("salt.example.com", overrides=self._settings(), defaults=dict(QUIET))
        self.hosts = {
            name: Host(lab, name, golden, bind=[Path(self.root)]) for name, golden in (goldens or HOSTS).items()
        }
        self.minions = {}
        LOG.parent.mkdir(parents=True, exist_ok=True)
        LOG.write_text("")

    def _settings(self):
        """Return the master's settings: those of the first tutorial after `make install`, below a folder."""
        subprocess.run(["make", "-C", CHECKOUT, "install", f"DESTDIR={self.folder}"], check=True, capture_output=True)
        drop_in = (self.folder / "etc/salt/master.d/salt-klp.conf").read_text()
        settings = yaml.safe_load(drop_in) | yaml.safe_load(pages.files(HOST_TUTORIAL)["/etc/salt/master"])
        assert settings["file_roots"]["base"][-1] == "/usr/share/salt-formulas/states"
        settings = yaml.safe_load(yaml.safe_dump(settings).replace("/usr/share/", f"{self.folder}/usr/share/"))
        roots = {"pillar_roots": {"base": [str(self.folder / "pillar")]}}
        return {**settings, **roots, "id": MASTER, "worker_threads": 3}

    # -- life ------------------------------------------------------------------------------------------------------

    def open(self):
        """Start the hosts and their minions."""
        for name in PROGRAMS:
            self._program(name, f"{Path(sys.executable).parent / name} -c {self.master.config_dir}")
        self._program("jq", f'-c "{JQ}"')
        (self.folder / "bin" / "mail").write_text(MAIL.format(folder=self.folder))
        (self.folder / "bin" / "mail").chmod(0o755)
        with ThreadPoolExecutor() as pool:
            list(pool.map(self._host, self.hosts))
        self.minions = {name: minion(self.master, name, lab=self.lab, inside=host) for name, host in self.hosts.items()}
        with ThreadPoolExecutor() as pool:
            list(pool.map(LabMinion.start, self.minions.values()))

    def _program(self, name, arguments):
        path = self.folder / "bin" / name
        path.write_text(f'#!/bin/sh\nexec {sys.executable} {arguments} "$@"\n')
        path.chmod(0o755)

    def _host(self, name):
        host = self.hosts[name].start()
        host.install_fake("snapper")

    def close(self):
        """Stop minions and hosts."""
        with ThreadPoolExecutor() as pool:
            list(pool.map(LabMinion.terminate, self.minions.values()))
        for host in self.hosts.values():
            host.stop()

    # -- files -----------------------------------------------------------------------------------------------------

    def pillar(self, page):
        """Write the pillar files of a page; the %post of the lab's nfs-client fails, and that is accepted."""
        for name, text in pages.files(page).items():
            if name.startswith("/srv/pillar/"):
                found = yaml.safe_load(text)
                if "klp" in found:
                    found["klp"].setdefault("update", {})["scriptlets"] = "accept"
                    text = yaml.safe_dump(found)
                (self.folder / "pillar" / Path(name).name).write_text(text)

    def campaign(self, page=CAMPAIGN_TUTORIAL, **changed):
        """Write the pillar of a campaign as a page shows it, with some other settings."""
        found = yaml.safe_load(pages.files(page)[CAMPAIGN_PILLAR])["klp_campaign"]
        whole = {
            "klp_campaign": {**found, "limits": {**found.get("limits", {}), "look": 2}, "order": "name", **changed}
        }
        (self.folder / "pillar" / Path(CAMPAIGN_PILLAR).name).write_text(yaml.safe_dump(whole))

    # -- commands --------------------------------------------------------------------------------------------------

    def argv(self, text):
        """Return the shell that runs a command of a page as it stands there."""
        return ["bash", "-c", text.replace(PLACEHOLDER, self.plan).replace(WEB_FOLDER, str(self.folder / "www"))]

    def start(self, text, **kwargs):
        """Start a command and return its process."""
        path = f"{self.folder / 'bin'}:{os.environ['PATH']}"
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, **kwargs}
        env = {**os.environ, "PATH": path}
        return subprocess.Popen(self.argv(text), env=env, text=True, start_new_session=True, **pipes)

    def end(self, process, text, timeout=300):
        """Wait for the end of a command: ``(exit code, what it printed)``; the log keeps it too."""
        output, _ = process.communicate(timeout=timeout)
        with LOG.open("a") as log:
            log.write(f"$ {text}\n{output}[exit {process.returncode}]\n\n")
        for plan in PLANNED.findall(output):
            self.plan = plan
        return process.returncode, output

    def run(self, text):
        """Run a command to its end."""
        return self.end(self.start(text), text)

    def check(self, command, code=0):
        """Run a command of a page: the exit code has to be this one, and what the page shows has to be there."""
        found, output = self.run(command.text)
        assert found == code, f"{command}: exit {found}\n{output}"
        here = WARNING.sub("", output.replace(str(self.master.config["root_dir"]), ""))
        gone = pages.missing(command.shown, here)
        assert not gone, f"{command}: no line: {gone}\n{output}"
        return output

    def follow(self, commands, codes):
        """Run commands one after the other; ``codes`` has the exit codes that are not 0."""
        for command in commands:
            self.check(command, codes.get(command.text, 0))

    # -- what hosts are brought to -----------------------------------------------------------------------------------

    def held_up(self, name):
        """Wait until the live patch of a host is in a transition that does not end by itself."""
        moving = lambda: any(found["transition"] for found in self.hosts[name].live_patches().values())  # noqa: E731
        wait_until(moving, 120, f"the transition of {name}")

    def finish(self, name):
        """End the transition of a host, and hold up no further one."""
        self.hosts[name].faults()
        self.hosts[name].finish_transition()

    def behind(self, *names):
        """Put the first live patch on hosts again, by their zypper: there is something to do for a campaign."""
        for name in names:
            done = self.hosts[name].zypper("install", "--oldpackage", f"{LP}={FIRST}")
            assert done.returncode == 0, done
            assert list(self.hosts[name].live_patches()) == [FIRST_MODULE]
