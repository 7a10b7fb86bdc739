"""
Print the configuration with which Salt finds what pip has installed here.

    python -m saltext.klp minion > /etc/salt/minion.d/salt-klp.conf
    python -m saltext.klp master > /etc/salt/master.d/salt-klp.conf

Salt's loader finds modules, states, grains, beacons and runners of an installed package by itself, but no utils and no
SLS (measured on 3006, 3007 and 3008).
"""

import json
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROLES = ("minion", "master", "masterless")


def configuration(role):
    """Return the configuration of a minion, a master or a masterless minion as YAML."""
    lines = ["# What pip has installed of salt-klp.", f"utils_dirs: [{json.dumps(os.path.join(HERE, 'utils'))}]"]
    if role != "minion":
        formula = json.dumps(os.path.join(HERE, "formula"))
        lines += ["file_roots:", "  base:", "    - /srv/salt", f"    - {formula}"]
    return "\n".join(lines) + "\n"


def main(argv):
    """Print the configuration for the role that is named; without one, or with another, say which there are."""
    if argv[1:] not in [[role] for role in ROLES]:
        sys.stderr.write(f"usage: python -m saltext.klp {'|'.join(ROLES)}\n")
        return 2
    sys.stdout.write(configuration(argv[1]))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
