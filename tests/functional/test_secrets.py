"""The registration code: it reaches SUSEConnect and nobody else."""

import json

import pytest

from tests.functional.conftest import LOADED, LP, THIRD, apply, snapshot, volumes, writes
from tests.functional.refusal import causes, refused
from tests.functional.registration import CODE, PRODUCT, WRONG, activations, calls, files_with

STATUS = "/var/lib/lab/suseconnect.json"
LOG = "/var/log/salt/minion"
# The pillar itself, and what SUSE's server and tool know of the registration or are told to say.
ELSEWHERE = {"/srv/pillar/lab.sls", STATUS, "/etc/lab/faults.json"}
NOT_REGISTERED = [{"identifier": "SLES", "version": "15.5", "arch": "x86_64", "status": "Not Registered"}]


@pytest.fixture
def registered(sles):
    """Start a fresh, registered host whose live patching product is not activated; ``code`` is in its pillar."""

    def start(code=CODE, **klp):
        one = sles("fresh", product={"regcode": code}, **klp)
        one.install_fake("SUSEConnect")
        one.salt.sync()
        return one

    return start


def silent(host, answer, secret):
    """Assert that a secret is in no answer, on no argument list and in no file that salt-klp or Salt wrote."""
    assert secret not in answer.stdout
    assert secret not in answer.stderr
    assert [program for program in host.programs() if any(secret in word for word in program.argv)] == []
    assert files_with(host, secret) <= ELSEWHERE


def test_product_is_activated_and_the_host_enabled(registered):
    one = registered()
    answer = apply(one, "klp")
    assert answer.failed == {}
    assert activations(one) == [["--product", PRODUCT, "--regcode", "-"]]
    assert f"product {PRODUCT} activated" in answer.comments["klp-enabled"]
    assert one.live_patches() == {"livepatch_3_150500_2_1": LOADED}
    assert len(volumes(one)) == 1
    silent(one, answer, CODE)
    again = apply(one, "klp")
    assert (again.failed, again.changes) == ({}, {})
    assert len(activations(one)) == 1


def test_prediction_activates_nothing(registered):
    one = registered()
    before = snapshot(one)
    answer = apply(one, "klp", test=True)
    assert answer.failed == {}
    assert answer.results["klp-enabled"] is None
    assert activations(one) == []
    assert snapshot(one) == before
    silent(one, answer, CODE)


@pytest.mark.parametrize("level", ["info", "debug", "trace"])
def test_code_is_in_no_log(registered, level):
    one = registered()
    one.salt.configure(log_file=LOG, log_level_logfile=level)
    one.forget_programs()
    done = one.run(one.salt.argv("-l", level, "state.apply", "klp"))
    assert done.returncode == 0
    assert f"SUSEConnect --product {PRODUCT}" in one.read(LOG) or level == "info"
    assert one.exists(LOG)
    silent(one, done, CODE)
    assert one.editions(LP) == [THIRD]


@pytest.mark.parametrize("level", ["info", "trace"])
def test_wrong_code_is_a_clear_error_without_the_code(registered, level):
    one = registered(code=WRONG)
    one.salt.configure(log_file=LOG, log_level_logfile=level)
    before = one.packages()
    answer = apply(one, "klp")
    assert causes(answer) == {
        "klp-enabled": f"SUSEConnect --product {PRODUCT} --regcode -: exit 67: "
        "Error: Registration server returned 'Unknown Registration Code.' (422)"
    }
    assert answer.rc != 0
    assert one.packages() == before
    assert writes(one) == []
    silent(one, answer, WRONG)


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_code_that_the_server_repeats_is_hidden(registered, stream):
    one = registered()
    script = '#!/bin/sh\n[ "$1" != --status ] || exec $0.real "$@"\nread -r code\n'
    script += f'echo "Error: the code $code has expired" {">&2" if stream == "stderr" else ""}\nexit 67\n'
    one.path("/usr/sbin/SUSEConnect").rename(one.path("/usr/sbin/SUSEConnect.real"))
    one.write("/usr/sbin/SUSEConnect", script, mode=0o755)
    one.salt.configure(log_file=LOG, log_level_logfile="trace")
    answer = apply(one, "klp")
    reason = causes(answer)["klp-enabled"]
    assert reason == f"SUSEConnect --product {PRODUCT} --regcode -: exit 67: Error: the code ***** has expired"
    silent(one, answer, CODE)


def test_codes_in_the_status_are_not_shown(registered):
    """SUSEConnect --status shows the codes of all products in clear."""
    one = registered()
    one.salt.configure(log_file=LOG, log_level_logfile="trace")
    answer = apply(one, "klp")
    assert answer.failed == {}
    assert "SECRET-SLES-CODE" in one.run(["SUSEConnect", "--status"], count=False).stdout
    silent(one, answer, "SECRET-SLES-CODE")
    one.faults(suseconnect={"stdout": "SECRET-SLES-CODE is not JSON\n"})
    one.run(["rpm", "-e", "--nodeps", "--noscripts", LP])
    answer = apply(one, "klp")
    assert answer.rc != 0
    assert "SUSEConnect --status: the answer is not JSON" in causes(answer).values()
    silent(one, answer, "SECRET-SLES-CODE")
    one.faults(suseconnect={"stderr": "SECRET-SLES-CODE\n", "rc": 3})
    answer = apply(one, "klp")
    assert "SUSEConnect --status: exit 3: *****" in causes(answer).values()
    silent(one, answer, "SECRET-SLES-CODE")


def test_product_without_a_code(registered):
    one = registered(code="")
    assert apply(one, "klp").failed == {}
    assert activations(one) == [["--product", PRODUCT]]


def test_nothing_is_activated_on_a_host_that_is_not_registered(registered):
    one = registered()
    one.write(STATUS, json.dumps(NOT_REGISTERED))
    before = one.packages()
    answer = apply(one, "klp")
    assert answer.rc != 0
    [reason] = set(causes(answer).values())
    assert reason.startswith(f"no live patch package for the running kernel: {LP} is in no repository. ")
    assert activations(one) == []
    assert one.packages() == before
    silent(one, answer, CODE)


def test_registration_is_left_alone_where_pillar_says_so(sles):
    one = sles("fresh", product={"name": "", "regcode": CODE})
    one.install_fake("SUSEConnect")
    assert apply(one, "klp").rc != 0
    assert calls(one) == []


def test_registration_is_left_alone_where_the_product_is_there(sles):
    one = sles("enabled", product={"regcode": CODE})
    one.install_fake("SUSEConnect")
    assert apply(one, "klp").failed == {}
    assert calls(one) == []


def test_files_with_a_secret_would_be_found(sles):
    one = sles("enabled")
    for name in ("/var/lib/salt-klp/x", "/root/x", "/tmp/x/y", "/etc/x"):
        one.write(name, f"code: {CODE}")
    assert files_with(one, CODE) == {"/var/lib/salt-klp/x", "/root/x", "/tmp/x/y", "/etc/x"}


def test_settings_do_not_show_the_code(registered):
    one = registered()
    answer = one.salt_call("klp.settings")
    assert answer.data["settings"]["product"] == {"name": "sle-module-live-patching"}
    for fun in ("klp.settings", "klp.preflight", "klp.verify", "klp_audit.host", "klp_audit.run_preview"):
        silent(one, one.salt_call(fun), CODE)


@pytest.mark.parametrize("code", [CODE + " x", CODE + "\n", [CODE], {CODE: 1}, CODE + "\0", CODE * 30])
def test_code_that_cannot_be_one_is_refused_without_being_shown(registered, code):
    one = registered(code=code)
    answer = apply(one, "klp")
    [(state, reason)] = causes(answer).items()
    assert state == "klp-ready"
    assert reason.startswith("pillar klp:product:regcode: ")
    assert answer.rc != 0
    assert calls(one) == []
    silent(one, answer, CODE)


def test_code_reaches_no_shell(registered):
    code = "$(touch${IFS}/tmp/hit);`touch${IFS}/tmp/hit`;--root=/"
    one = registered(code=code)
    answer = apply(one, "klp")
    assert "Unknown Registration Code" in causes(answer)["klp-enabled"]
    assert not one.exists("/tmp/hit")
    silent(one, answer, code)


def test_key_with_the_code_under_a_wrong_name_does_not_show_it(sles):
    one = sles("enabled", product={"regcod": CODE})
    answer = refused(one, "klp", {"klp-ready": "pillar klp:product:regcod: unknown key; did you mean regcode?"})
    silent(one, answer, CODE)
