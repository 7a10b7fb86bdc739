"""
Print the configuration with which Salt finds the SLS files of what pip has installed here.

    python -m saltext.klp > /etc/salt/master.d/salt-klp.conf            on a master
    python -m saltext.klp minion > /etc/salt/minion.d/salt-klp.conf     on a minion without a master

Salt's loader finds modules, states, grains, beacons, runners and engines of an installed package by itself, and these
import the rest by name. A minion that has a master needs no configuration (measured on 3006, 3007 and 3008).

``file_roots`` in such a file replaces that of the main configuration (measured on 3006, 3007 and 3008): where there is
one, nothing is printed, the line to add is said on standard error, and the exit code is 1.
"""

import argparse
import json
import os
import sys

import yaml

HERE = os.path.dirname(os.path.abspath(__file__))
HEAD = "# The SLS files of salt-klp, as pip has installed it."


def configuration():
    """Return the configuration of a master, or of a minion without one, as YAML."""
    formula = json.dumps(os.path.join(HERE, "formula"))
    return "\n".join([HEAD, "file_roots:", "  base:", "    - /srv/salt", f"    - {formula}"]) + "\n"


def obstacle(path):
    """Return why the configuration may not be written beside a main one, ``None`` where it may."""
    try:
        with open(path, encoding="utf-8") as file:
            found = yaml.safe_load(file)
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as exc:
        return f"{path} cannot be read: {str(exc).splitlines()[0]}"
    if isinstance(found, dict) and "file_roots" in found:
        line = json.dumps(os.path.join(HERE, "formula"))
        return (
            f"{path} has file_roots, which a file of its own would replace; add this line to them, under base: - {line}"
        )
    return None


def main(argv):
    """Print the configuration of a master, or of a minion without one."""
    parser = argparse.ArgumentParser(
        prog="python -m saltext.klp", description="Print where the SLS files are, for Salt."
    )
    parser.add_argument("kind", nargs="?", choices=("master", "minion"), default="master", help="whose configuration")
    parser.add_argument("-c", "--config-dir", default="/etc/salt", metavar="DIR", help="where the main one is")
    given = parser.parse_args(argv[1:])
    wrong = obstacle(os.path.join(given.config_dir, given.kind))
    if wrong:
        sys.stderr.write(wrong + "\n")
        return 1
    sys.stdout.write(configuration())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
