"""The configurations of docs/how-to/who-may.md, on a real master: who may, and who is refused."""

import contextlib
import io
from pathlib import Path

import pytest
import salt.client
import salt.config
import salt.exceptions
import salt.netapi
import yaml

from tests.integration.conftest import QUIET
from tests.lab.build import CHECKOUT

PAGE = "docs/how-to/who-may.md"
USER = "nobody"  # stands in for the page's "watcher": a user that each machine has
REFUSED = (salt.exceptions.AuthorizationError, salt.exceptions.EauthAuthenticationError)


def shown():
    """Return the settings of the page: the file that two sections show is one."""
    text = (CHECKOUT / PAGE).read_text()
    found = {}
    for block in text.split("```yaml\n# /etc/salt/master.d/who-may.conf\n")[1:]:
        found.update(yaml.safe_load(block.split("```")[0]))
    return found


@pytest.fixture(scope="module")
def opts(salt_factories, tmp_path_factory):
    """The options of a running master with these settings; Salt's file of users stands in for PAM."""
    folder, settings = tmp_path_factory.mktemp("who"), shown()
    users = folder / "users"
    users.write_text("anna:one\nbert:two\n")
    people = settings["external_auth"].pop("pam")
    settings["external_auth"]["file"] = {"^filename": str(users), "^hashtype": "plaintext", **people}
    settings["publisher_acl"] = {USER: settings["publisher_acl"]["watcher"]}
    dirs = {f"{kind}_dirs": [str(CHECKOUT / folder)] for kind, folder in (("runner", "_runners"), ("utils", "_utils"))}
    master = salt_factories.salt_master_daemon(
        "who", overrides={**settings, **dirs, "worker_threads": 3}, defaults=dict(QUIET)
    )
    with master.started():
        yield salt.config.client_config(str(Path(master.config_dir) / "master"))


@pytest.mark.parametrize(
    ("fun", "may"),
    [
        ("klp.verify", True),
        ("klp.status", True),
        ("klp_audit.host", True),
        ("klp.patch", False),
        ("klp.unhold", False),
        ("klp.install", False),
        ("state.apply", False),
        ("cmd.run", False),
        ("root_backup.restore", False),
    ],
)
def test_who_may_look_only_is_refused_the_rest(opts, fun, may):
    """No minion is there, so what may run reaches nobody."""
    with salt.client.LocalClient(mopts=opts) as client:
        client.salt_user = USER
        client.key = (Path(opts["cachedir"]) / f".{USER}_key").read_text()
        with contextlib.redirect_stdout(io.StringIO()):
            if may:
                assert client.run_job("*", fun) == {}
            else:
                with pytest.raises(REFUSED):
                    client.run_job("*", fun)


def call(opts, name, password, fun, **kwarg):
    """Ask as salt-api does."""
    low = {"client": "runner", "fun": fun, "eauth": "file", "username": name, "password": password, "kwarg": kwarg}
    return salt.netapi.NetapiClient(opts).run(low)


def test_whom_external_auth_knows_may_call_what_is_named(opts):
    assert call(opts, "anna", "one", "klp.status")["campaigns"] == []
    assert call(opts, "bert", "two", "klp.status")["campaigns"] == []


@pytest.mark.parametrize(
    ("name", "password", "fun"),
    [
        ("anna", "two", "klp.status"),
        ("bert", "two", "klp.run"),
        ("bert", "two", "klp.plan"),
        ("anna", "one", "klp.release"),
        ("anna", "one", "salt.cmd"),
        ("anna", "one", "state.orchestrate"),
        ("carl", "three", "klp.status"),
    ],
)
def test_who_is_not_named_is_refused(opts, name, password, fun):
    with pytest.raises(REFUSED):
        call(opts, name, password, fun)


def test_a_client_of_the_api_that_is_not_switched_on_is_refused(opts):
    low = {"client": "local", "tgt": "*", "fun": "test.ping", "eauth": "file", "username": "anna", "password": "one"}
    with pytest.raises(salt.exceptions.SaltException):
        salt.netapi.NetapiClient(opts).run(low)
