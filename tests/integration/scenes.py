"""What is done around the commands of the tutorials and of the pages about fleets."""

import os
import signal
import tempfile

from tests import pages
from tests.integration.course import CAMPAIGN_TUTORIAL, EXCEPTIONS, HOST_TUTORIAL, HOSTS, KERNEL_TUTORIAL
from tests.lab.host import wait_until

HOW_TO, REPORT, REFUSALS = "docs/how-to/campaign.md", "docs/how-to/report.md", "docs/how-to/refusals.md"
CVE = "docs/how-to/cve.md"
TELL = "docs/how-to/tell.md"
RUN = "salt-run klp.run c3f2a9c01d4e"
OOPS = "4,900,5000,-;BUG: unable to handle page fault for address: ffffffffc0000000\n"
# No minutes of watching, few hosts, and no modules that are sent once more.
SHORT = {"soak": {"minutes": [0]}, "target_type": "list", "sync": False}
ONE_WAVE = {**SHORT, "waves": [{"name": "all"}]}
NOT_COVERED = 2  # not every host is covered: one CVE is fixed in a newer kernel only
STOPPED = 3
NOT_KNOWN = 10
SHOWN_ONLY = 8  # the plan waits to be run


def tutorial(course, commands):
    course.pillar(commands[0].page)
    course.follow(commands, {"salt-run klp.report": NOT_COVERED})


def as_it_is(course, commands):
    course.follow(commands, {"salt-run klp.report": NOT_COVERED, EXAMPLE_REPORT: NOT_COVERED})


def of_unknown_cve(course, commands):
    """No advisory of the lab names the CVE of the page: nobody is called fixed, and nobody not affected."""
    mined, asked = commands
    assert "unknown       3 hosts" in course.check(mined, NOT_KNOWN)
    assert '"unknown": 3' in course.check(asked, NOT_KNOWN)


def planned(course, commands):
    course.behind(*HOSTS)
    course.campaign(HOW_TO, soak={"minutes": [0]}, sync=False)
    course.follow(commands, {})


def stopped_and_gone_on(course, commands):
    """The first host holds the campaign up while it is paused, the second one while it is ended."""
    pause, resume, abort = commands
    course.behind("web2", "web3")
    course.campaign(**ONE_WAVE, target="web2,web3", batch=1)
    course.hosts["web2"].faults(transition="stay")
    course.run("salt-run klp.plan")
    driver = course.start(RUN)
    course.held_up("web2")
    course.check(pause)
    course.finish("web2")
    assert course.end(driver, RUN)[0] == 5
    course.hosts["web3"].faults(transition="stay")
    driver = course.start(resume.text)
    course.held_up("web3")
    course.check(abort)
    course.finish("web3")
    assert course.end(driver, resume.text)[0] == 4


def gate_has_failed(course, commands):
    """The kernel of web2 has an error while it is patched; web3 is not started, and web2 is mended before the plan."""
    course.behind("web2", "web3")
    waves = [{"name": "early", "hosts": ["web2"]}, {"name": "rest"}]
    course.campaign(HOW_TO, **SHORT, target="web2,web3", waves=waves)
    host = course.hosts["web2"]
    log = host.read("/dev/kmsg")
    host.faults(transition="stay")
    course.run("salt-run klp.plan")
    driver = course.start(RUN)
    course.held_up("web2")
    host.write("/dev/kmsg", log + OOPS)
    course.finish("web2")
    assert course.end(driver, RUN)[0] == STOPPED
    # The report is that of the campaign that stopped; web3 is below level 2, so the way back leaves it out.
    codes = {"salt-run klp.report c3f2a9c01d4e": STOPPED, RUN: 2}
    for command in commands:
        if command.text == "salt-run klp.plan":
            host.write("/dev/kmsg", log)
        course.check(command, codes.get(command.text, 0))


def interrupted(course, commands):
    course.behind("web3")
    course.campaign(**ONE_WAVE, target="web3")
    course.hosts["web3"].faults(transition="stay")
    course.run("salt-run klp.plan")
    driver = course.start(RUN)
    course.held_up("web3")
    os.killpg(driver.pid, signal.SIGKILL)
    assert course.end(driver, RUN)[0] == -signal.SIGKILL
    course.finish("web3")
    course.follow(commands, {})


def one_behind(course, commands):
    course.behind("web3")
    course.campaign(**ONE_WAVE, target="web3")
    course.follow(commands, {})


def scripted(course, commands):
    """Without an id a plan is made, and only shown; after the script nothing is left to be planned."""
    before, script, after = commands
    course.behind("web3")
    course.campaign(**ONE_WAVE, target="web3")
    course.check(before, SHOWN_ONLY)
    assert "all is done and verified" in course.check(script)
    course.check(after)


def listening(course, commands):
    """What is told while a host sends the event of a campaign; it listens until it is ended."""
    (command,) = commands
    with tempfile.TemporaryFile("w+") as told:
        process = course.start(command.text, stdout=told)

        def heard():
            course.run("salt web1 event.send salt-klp/c3f2a9c01d4e/end")
            told.seek(0)
            return f"salt-klp/{course.plan}/end" in told.read()

        wait_until(heard, 60, "an event")
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(timeout=30)


def mailed(course, commands):
    """The lab's kernel is not supported any more, so there is something to tell."""
    (script,) = commands
    course.check(script)
    text = (course.folder / "mail.txt").read_text()
    assert text.startswith("To: admins@example.com\nSubject: live patching: hosts need something\n")
    assert "3 hosts, 0 covered" in text


EXAMPLE_REPORT = "salt-run klp.report ask=all folder=/srv/www/klp"
# Page and section (None: all of them) -> what is done around their commands.
SCENES = {
    (HOST_TUTORIAL, None): tutorial,
    (CAMPAIGN_TUTORIAL, None): tutorial,
    (HOW_TO, "Plan and run"): planned,
    (HOW_TO, "Watch it"): as_it_is,
    (REPORT, "The fleet"): as_it_is,
    (CVE, None): of_unknown_cve,
    (HOW_TO, "Pause, go on, end"): stopped_and_gone_on,
    (HOW_TO, "It was interrupted"): interrupted,
    (HOW_TO, "In orchestrations"): one_behind,
    (HOW_TO, "In scripts"): scripted,
    (HOW_TO, "Tell a chat"): listening,
    (TELL, "Mail by the exit code"): mailed,
    (HOW_TO, "A gate has failed"): gate_has_failed,
}
# Of these pages only what is in none of the others.
BRIEF = {
    (HOW_TO, "Before the first one"): as_it_is,
    ("README.md", "A fleet"): as_it_is,
    ("docs/reference/modules/runner.md", None): as_it_is,
    ("docs/reference/campaign.md", None): as_it_is,
    ("docs/reference/report.md", None): as_it_is,
    (REFUSALS, None): as_it_is,
}


def mine(page, section):
    """Return the commands of a scene: those that belong on a master."""
    known = {one.text for place in SCENES if (page, section) in BRIEF for one in mine(*place)}
    found = [one for one in pages.commands(page, section) if one.text not in {*EXCEPTIONS, *known}]
    on_master = ("salt-run", "salt-key", "salt 'web*'", "id=", "out=", *(() if (page, section) in BRIEF else ("salt",)))
    return [one for one in found if (page, one.text) not in EXCEPTIONS and one.text.startswith(on_master)]


YEARLY = [(KERNEL_TUTORIAL, None)]


def whole(page, section):
    """Return the commands of a scene."""
    return [one for one in pages.commands(page, section) if one.text not in EXCEPTIONS]
