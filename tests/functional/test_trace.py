"""What a state does inside of salt-klp: what is asked is asked once, and a reader has to follow few moves."""

import json
import sys

from tests.functional.conftest import FIRST, LP, THIRD, TOOLS, writes
from tests.lab.build import CHECKOUT

TRACE = CHECKOUT / "tests" / "trace.py"
# From one file to another, in the state that brings a live patch; 60 of them ask what was withdrawn, what is locked,
# what asks for a reboot and which scriptlets have failed.
MOVES = 200


def test_a_live_patch_comes_with_few_moves_and_no_question_is_asked_twice(sles, capsys):
    one = sles("enabled")
    one.salt.sync()
    one.forget_programs()
    done = one.run([sys.executable, TRACE, "state.single", "klp.patched", "live-patch", "level=3"])
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    (state,) = found["answer"].values()
    assert (state["result"], state["changes"]["live patch"]) == (True, {"old": FIRST, "new": THIRD})
    rpm = [program.argv[1:] for program in one.started("rpm", caller="python")]
    facts = [argv for argv in rpm if argv[0] == "-q" and {LP, TOOLS} <= set(argv)]
    zypper = [next(word for word in program.argv[1:] if word[0] != "-") for program in one.started("zypper")]
    with capsys.disabled():
        print(f"\nklp.patched level 3: {found['calls']} calls, {found['entries']} of them into another file", end="")
        print(f" ({found['moves']} without what every question goes through), {found['seconds']} s")
        print(f"rpm {len(rpm)} ({len(facts)} for the live patch), zypper {', '.join(zypper)}")
        print(", ".join(f"{name} {number}" for name, number in list(found["functions"].items())[:12]))
    assert found["functions"]["klp_pillar.check"] == 1
    assert found["functions"]["klp_family.family"] == 1
    assert len(facts) == 2, facts
    assert found["moves"] <= MOVES
    assert (zypper, len(writes(one))) == (["search", "install", "search", "install"], 1)
