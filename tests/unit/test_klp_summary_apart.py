"""What a host says of itself for the order of a campaign: its group, and the grain by which it is kept apart."""

from tests.unit.previews import host, preview, refusal

__all__ = ["host"]


def test_the_group_of_the_host_is_told(host):
    host.pillar["klp"]["group"] = "db"
    assert preview(host)["group"] == "db"


def test_what_a_grain_says_that_keeps_hosts_apart_is_told(host):
    grains = {"cluster": "a", "racks": ["r2", 7, "", None, "r2"], "zone": 0, "empty": "", "deep": {"x": 1}}
    grains["in"] = [[1]]
    host.salt["grains.get"] = lambda name, default: grains.get(name, default)
    told = {
        name: preview(host, "patch", "previous", name)["apart"] for name in ("cluster", "racks", "zone", "empty", "no")
    }
    assert told == {"cluster": ["a"], "racks": ["7", "r2"], "zone": ["0"], "empty": [], "no": []}
    found = preview(host, "patch", "previous", "deep")
    wanted = "grain deep (pillar klp_campaign:apart): wanted a text or a list of texts, found dict"
    assert found == refusal(wanted), "a host whose neighbours are not known is not touched"
    assert "found list" in preview(host, "rollback", "previous", "in")["refusals"][0]
