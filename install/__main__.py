"""
Print the configuration with which Salt finds the SLS files of what pip has installed here.

    python -m saltext.klp > /etc/salt/master.d/salt-klp.conf      on a master
    python -m saltext.klp > /etc/salt/minion.d/salt-klp.conf      on a minion without a master

Salt's loader finds modules, states, grains, beacons and runners of an installed package by itself, and these import the
rest by name. A minion that has a master needs no configuration (measured on 3006, 3007 and 3008).
"""

import json
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))


def configuration():
    """Return the configuration of a master, or of a minion without one, as YAML."""
    formula = json.dumps(os.path.join(HERE, "formula"))
    lines = ["# The SLS files of salt-klp, as pip has installed it.", "file_roots:", "  base:", "    - /srv/salt"]
    return "\n".join([*lines, f"    - {formula}"]) + "\n"


def main(argv):
    """Print the configuration; it takes no arguments."""
    if argv[1:]:
        sys.stderr.write("usage: python -m saltext.klp\n")
        return 2
    sys.stdout.write(configuration())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
