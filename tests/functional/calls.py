"""
Runs inside a lab host: several command lines of salt-call, each in a process of its own that has Salt loaded already.

Standard input is a JSON list of lists of arguments; standard output a JSON list of ``[exit code, output]``.
"""

import json
import os
import sys
import tempfile
import traceback

import salt.cli.call
import salt.fileclient
import salt.loader
import salt.minion
import salt.scripts
import salt.state

CRASHED = 70


def call(arguments, output):
    """Be salt-call with these arguments; does not return."""
    for number in (1, 2):
        os.dup2(output.fileno(), number)
    sys.argv = ["salt-call", *arguments]
    code = CRASHED
    try:
        salt.scripts.salt_call()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    finally:
        if code == CRASHED:
            traceback.print_exc()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def run(arguments):
    """Return exit code and output of one command line."""
    with tempfile.TemporaryFile() as output:
        pid = os.fork()
        if not pid:
            call(arguments, output)
        _, status = os.waitpid(pid, 0)
        output.seek(0)
        return [os.waitstatus_to_exitcode(status), output.read().decode(errors="replace")]


if __name__ == "__main__":
    json.dump([run(arguments) for arguments in json.load(sys.stdin)], sys.stdout)
