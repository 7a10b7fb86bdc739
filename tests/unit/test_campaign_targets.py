"""Which minions a target means: by Salt's own matcher over accepted keys, with a cache that lacks some of them."""

import os

import pytest
import salt.cache
import salt.config
from salt.exceptions import CommandExecutionError

from _runners.klp import targets

KNOWN = {"web1": {"os": "SLES", "role": "web"}, "web2": {"os": "SLES", "role": "db"}, "db1": {"os": "Debian"}}


@pytest.fixture
def opts(tmp_path):
    """A master that has accepted web1, web2, web3 and db1, and has no grains of web3."""
    (tmp_path / "master").write_text(
        f"id: m\nroot_dir: {tmp_path}\npki_dir: /pki\ncachedir: /cache\n", encoding="utf-8"
    )
    opts = salt.config.master_config(str(tmp_path / "master"))
    opts["nodegroups"] = {"named": "L@web1,web3", "sles": "G@os:SLES", "not_sles": "not G@os:SLES"}
    os.makedirs(tmp_path / "pki" / "minions")
    for host in (*KNOWN, "web3"):
        (tmp_path / "pki" / "minions" / host).write_text("key", encoding="utf-8")
    for host, grains in KNOWN.items():
        cached(opts, host, dict(grains, id=host))
    return opts


def cached(opts, host, grains, pillar=None):
    """Keep grains of a minion as the installed version of Salt does: one file with both, or a bank for each."""
    cache = salt.cache.factory(opts)
    cache.store(f"minions/{host}", "data", {"grains": grains, "pillar": pillar or {}})
    cache.store("grains", host, grains)
    if pillar:
        cache.store("pillar", host, pillar)


def found(opts, expression, kind="compound"):
    """Return whom a target means, and of whom that is not known, as names."""
    hosts, strange = targets.matching(opts, expression, kind)
    assert all(
        "has no" in why and f"run: salt '{host}' saltutil.refresh_pillar" in why for host, why in strange.items()
    )
    return " ".join(hosts), " ".join(strange)


@pytest.mark.parametrize(
    ("expression", "kind", "hosts", "unknown"),
    [
        ("web*", "glob", "web1 web2 web3", ""),
        ("web3", "list", "web3", ""),
        ("web[13]", "pcre", "web1 web3", ""),
        ("os:SLES", "grain", "web1 web2", "web3"),
        ("os:S.*", "grain_pcre", "web1 web2", "web3"),
        ("web* or E@db.", "compound", "db1 web1 web2 web3", ""),
        ("G@os:SLES", "compound", "web1 web2", "web3"),
        ("not G@os:SLES", "compound", "db1", "web3"),  # Salt alone takes web3, too
        ("web* and not G@role:db", "compound", "web1", "web3"),
        ("db* and G@os:SLES", "compound", "", ""),
        ("db* or G@role:web", "compound", "db1 web1", "web3"),
        ("not ( G@os:SLES or db* )", "compound", "", "web3"),
        ("web* and P;@os;S.*", "compound", "web1 web2", "web3"),
        ("N@named", "compound", "web1 web3", ""),
        ("N@sles", "compound", "web1 web2", "web3"),
        ("N@sles and not web3", "compound", "web1 web2", ""),
        ("N@not_sles and db*", "compound", "db1", ""),
    ],
)
def test_a_host_without_grains_is_named_and_never_taken_for_one_that_has_none(opts, expression, kind, hosts, unknown):
    assert found(opts, expression, kind) == (hosts, unknown)


def test_what_is_missing_is_named(opts):
    cached(opts, "web3", {"id": "web3", "os": "SLES"}, {"x": "1"})
    for host in ("web1", "web2"):
        cached(opts, host, dict(KNOWN[host], id=host), {"x": "1"})
    assert found(opts, "G@os:SLES") == ("web1 web2 web3", "")
    assert found(opts, "I@x:1") == ("web1 web2 web3", "db1")
    _, strange = targets.matching(opts, "web* or I@x:1", "compound")
    assert strange["db1"] == (
        "the master has no pillar of it, so it does not know whether target 'web* or I@x:1' means it; run: salt 'db1' "
        "saltutil.refresh_pillar"
    )


def test_a_damaged_cache_is_one_that_has_nothing(opts, tmp_path):
    for folder, _, names in os.walk(tmp_path / "cache"):
        for name in names:
            if "db1" in f"{folder}/{name}":
                with open(f"{folder}/{name}", "wb") as handle:
                    handle.write(b"\xc1\xc1")
    assert targets.kept_apart(opts, "db1", "os") is None
    assert targets.kept_apart(opts, "web1", "os") == ["SLES"]


def test_ids_that_cannot_be_taken_are_named(opts, tmp_path):
    for name in ("_old", "a b"):
        (tmp_path / "pki" / "minions" / name).write_text("key", encoding="utf-8")
    hosts, strange = targets.matching(opts, "*", "glob")
    assert hosts == ["db1", "web1", "web2", "web3"] and set(strange) <= {"_old", "a b"} and strange
    assert all(why.startswith("its id cannot be taken: wanted at most 253 letters") for why in strange.values())


def test_a_target_that_means_nobody_is_refused(opts):
    with pytest.raises(CommandExecutionError, match=r"^no accepted minion matches glob target 'none\*'$"):
        targets.wanted(opts, "none*", "glob")
    sentence = "no accepted minion matches grain target 'os:Arch'; 1 may be meant: web3: the master has no grains of it"
    with pytest.raises(CommandExecutionError, match=f"^{sentence}"):
        targets.wanted(opts, "os:Arch", "grain")


def test_a_master_that_keeps_no_grains_cannot_be_asked_for_them(opts):
    opts["minion_data_cache"] = False
    with pytest.raises(CommandExecutionError) as error:
        targets.matching(opts, "os:SLES", "grain")
    assert str(error.value) == (
        "target 'os:SLES' asks for grains or pillar, and master option minion_data_cache is false: the master keeps "
        "neither"
    )
    assert found(opts, "web*", "glob") == ("web1 web2 web3", "")
