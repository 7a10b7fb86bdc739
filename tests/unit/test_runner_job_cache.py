"""The answers to a job as they lie on the disk, also those that Salt itself reads without end."""

import msgpack
import pytest
import salt.payload
import salt.returners.local_cache

from _runners.klp import answers, job_cache

JID = "20260101000000000000"
# What a minion sends with the year 1 has it once the master has written it with strftime, which leaves zeros away.
YEAR_1 = msgpack.ExtType(78, b"00010101T00:00:00.000000")


@pytest.fixture
def opts(tmp_path, monkeypatch):
    found = {
        "cachedir": str(tmp_path),
        "hash_type": "sha256",
        "master_job_cache": "local_cache",
        "job_cache_store_endtime": False,
    }
    monkeypatch.setattr(salt.returners.local_cache, "__opts__", found, raising=False)
    salt.returners.local_cache.prep_jid(passed_jid=JID)
    return found


def returned(host, value, **more):
    """Let the master keep what a host returns, as it does itself."""
    load = salt.payload.loads(msgpack.packb({"jid": JID, "id": host, "return": value, **more}))
    salt.returners.local_cache.returner(load)


def test_answers_are_those_of_salt(opts):
    returned("h1", {"a": [1, None]}, retcode=0, success=True)
    returned("h2", "text", retcode=1, success=False)
    read = job_cache.reader(opts, None)
    assert read(JID) == salt.returners.local_cache.get_jid(JID)
    assert read(JID)["h2"] == {"return": "text", "retcode": 1, "success": False}
    assert read("20260101000000000001") == {}


def test_an_answer_that_salt_cannot_read_is_one_of_its_host_and_no_loop(opts):
    """Salt's get_jid does not come back from this one."""
    returned("h1", YEAR_1)
    returned("h2", True)
    found = job_cache.reader(opts, None)(JID)
    assert found["h2"]["return"] is True
    assert found["h1"] == {"return": job_cache.UNREADABLE}
    assert answers.ended("patch", found["h1"]) == (False, f"its answer is not understood: {job_cache.UNREADABLE}")
    with pytest.raises(answers.NonsenseError, match=job_cache.UNREADABLE):
        answers.state_summary("h1", found["h1"]["return"])


def test_a_return_in_the_old_form_is_taken(opts, tmp_path):
    returned("h1", 1)
    (path,) = tmp_path.rglob("h1/return.p")
    path.write_bytes(salt.payload.dumps(["a"], use_bin_type=True))
    assert job_cache.reader(opts, None)(JID) == {"h1": {"return": ["a"]}}


def test_another_job_cache_is_read_by_salt():
    assert job_cache.reader({"master_job_cache": "mysql"}, len) is len
