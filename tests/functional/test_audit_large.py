"""The document of a host as large as a real one costs little when what it is made from has not changed."""

import json
import statistics
import sys

import jsonschema

from tests.functional.documents import LIVE, REBOOT, SCHEMA
from tests.lab.large import enlarge

TIMES = 7
LIMIT = 0.5  # seconds
# In one process, as in a minion that runs: the start of salt-call is not what is measured.
SCRIPT = f"""\
import json, time
import salt.config, salt.loader

opts = salt.config.minion_config("/etc/salt/minion")
opts.update(file_client="local", pillar={{}})
opts["grains"] = salt.loader.grains(opts)
modules = salt.loader.minion_mods(opts, utils=salt.loader.utils(opts))
spent = []
for _ in range({TIMES}):
    begun = time.monotonic()
    document = modules["klp_audit.host"]()
    spent.append(time.monotonic() - begun)
print(json.dumps([spent, document]))
"""


def test_a_warm_document_takes_less_than_half_a_second(sles, tmp_path):
    host = sles("converged")
    enlarge(host, tmp_path)
    assert len(host.packages()) > 1500
    cold = host.salt_call("klp_audit.host")
    assert cold.rc == 0, cold.stderr
    host.write("/root/measure.py", SCRIPT)
    host.forget_programs()
    done = host.run([sys.executable, "/root/measure.py"])
    spent, document = json.loads(done.stdout)
    print(f"warm: median {statistics.median(spent):.3f} s, slowest {max(spent):.3f} s")
    jsonschema.validate(document, SCHEMA)
    assert (document["cves"]["fixed_live"], document["cves"]["reboot"], document["problems"]) == (LIVE, [REBOOT], [])
    assert statistics.median(spent) < LIMIT
    assert host.count("zypper") == 0
    assert host.count("klp") == 2 * TIMES
