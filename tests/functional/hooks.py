"""SLS of the administrator's own around a run, which tell of themselves in a file of the host."""

import pytest

from tests.lab.build import CHECKOUT

LOG, SITE = "/var/lib/hooks", "/srv/site"
HOOKS = {"before": "site.drain", "after": ["site.undrain"], "on_failure": ["site.alarm"]}
NAMES = {"site.drain": "drained", "site.undrain": "undrained", "site.alarm": "alarm"}
# States with requisites of their own; the second is written first, and its `order` changes nothing about that.
SLS = """\
{word}-told:
  cmd.run:
    - name: echo {word} >>{LOG}
    - order: 1
    - require:
      - cmd: {word}
{word}:
  cmd.run:
    - name: |
        {gate}
        {command}
"""


def hook(host, sls, command="true", gate="true"):
    """Write an SLS that tells of itself in LOG, if its command succeeds."""
    text = SLS.format(word=NAMES[sls], LOG=LOG, command=command, gate=gate.strip())
    host.write(f"{SITE}/{sls.replace('.', '/')}.sls", text)


@pytest.fixture
def hooked(sles, mirror):
    """Start a host with hooks and one pending update; the keywords are more of the pillar's ``klp``."""

    def start_host(golden="converged", pending=True, **klp):
        host = sles(golden, **{"hooks": HOOKS, **klp})
        host.salt.configure(file_roots={"base": [str(CHECKOUT / "salt"), SITE]})
        for sls in NAMES:
            hook(host, sls)
        if pending:
            mirror(host, "tool")
        return host

    return start_host


def log(host):
    """Return what the hooks have told so far."""
    return host.read(LOG).split() if host.exists(LOG) else []
