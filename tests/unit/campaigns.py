"""Campaigns as plans are made of them and pages show them, over a few simulated hosts."""

import re
import textwrap

from hypothesis import strategies as st

from _runners.klp import board, planning
from tests.simulation import campaign
from tests.simulation.book import Book
from tests.simulation.game import ONE, Driven
from tests.simulation.kernel_world import KernelHost, KernelWorld
from tests.simulation.world import START, SimHost, World, run_preview
from tests.unit.report import TAGS, Reader


def answer(name="h1", **more):
    """Return what a host says that it would get."""
    world = World([SimHost(name)])
    return dict(run_preview(world, world.hosts[name]), **more)


def make(said, kind="patch", names=None, banned=(), now=START, members=None, **given):
    """Return the plan over hosts that said this."""
    own = {key: given.pop(key, None) or {} for key in ("busy", "known", "strange")}
    settings = campaign.settings(**{"waves": [{"name": "all"}], "order": "name", **given})
    facts = {
        "kind": kind,
        "master": "master",
        "hosts": sorted(names or said),
        "answers": said,
        "asked": START,
        "members": members or [None] * len(settings["waves"]),
        **own,
        "quarantine": list(banned),
    }
    return planning.make(facts, settings, now)


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=5)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
)

WAVES = [{"name": "canary", "take": 1}, {"name": "rest"}]


def text(block):
    return textwrap.dedent(block).strip("\n")


def world(count=4, **faults):
    return World([SimHost(f"h{number:02}", **faults.get(f"h{number:02}", {})) for number in range(count)])


class Year(Driven):
    """A campaign of kind kernel in one wave, none of whose hosts is watched afterwards unless that is asked for."""

    def __init__(self, folder, hosts, **klp_campaign):
        super().__init__()
        named = {f"h{number}": {} for number in range(1, hosts + 1)} if isinstance(hosts, int) else hosts
        self.world = KernelWorld([KernelHost(name, **faults) for name, faults in named.items()])
        given = {"waves": ONE, "batch": "100%", "soak": {"minutes": []}, "reboot": True, **klp_campaign}
        self.plan = campaign.plan(self.world, "kernel", **given)
        self.store = campaign.saved(folder, self.plan)
        self.on: dict = {}  # what happens when an entry is written

    def said(self, entry):
        super().said(entry)
        self.on.pop(entry["what"], lambda: None)()

    def restarts(self):
        """Return who has restarted each host."""
        return {name: [why for _, why in host.starts] for name, host in self.world.hosts.items()}

    def kernels(self):
        return {name: (host.kernel, host.default) for name, host in self.world.hosts.items()}


JOB = "20270115080000000000"
HOSTILE = '<script>alert("x")</script>\u202e\n'


class Written(Book):
    """A campaign that keeps its entries."""

    def __init__(self, *args, **kwargs):
        self.entries: list = []
        super().__init__(*args, **kwargs)

    def add(self, what, **fields):
        self.entries.append({"what": what, "at": int(self.now), "n": len(self.entries) + 1, **fields})
        return super().add(what, **fields)

    def html(self, driven=True, wait=None):
        text = board.html(self.found, self.entries[::-1], self.now, driven, wait)
        found = Reader(text)
        assert set(found.tags) <= TAGS | {"time", "noscript"} and found.tags.count("script") == 1
        assert not [name for _, name, _ in found.attributes if name.startswith("on") or name == "style"]
        assert (
            not re.search(r"https?:|url\(|@import|src=", text)
            and "default-src &#39;none&#39;; style-src &#39;sha256" in text
        )
        return text


def under_way():
    """Return a campaign in its first wave: a runs, b failed, c refused, d did not answer."""
    found = Written(limits={"failed": 2, "unreachable_percent": 50}).begin().start("ab", JOB)
    found.end("b", JOB, "zypper: exit code 104")
    return found.add("refused", hosts={"c": "no room"}).add("absent", hosts={"d": "it did not answer"})
