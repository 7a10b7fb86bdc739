"""What the tests of the yearly kernel share: a host with GRUB, the steps of its change, and what GRUB starts next."""

from tests.lab.packages import KERNEL, KERNEL_LOCKS, NEW_KERNEL, NEW_LIVE_PATCH
from tests.lab.vm.packages import MKINITRD

EDITION = "5.14.21-150500.55.12.1"
OLD_EDITION = "5.14.21-150500.55.7.1"
LEVEL = "2-150500.2.1"
PILLAR = {"kernel": {"target": EDITION}}
IN_INITRD = "lab: the initrd loads livepatch-{}.ko"


def change(guest, step, title, *pillar, sls="klp.kernel"):
    """Apply an SLS of the change of kernel and return its answer."""
    with step(f"state.apply {sls}, {title}"):
        return guest.salt("state.apply", sls, *pillar)


def prepared(boot, step):
    """Return a host that boots by GRUB, live-patched and locked by ``klp``; nobody has chosen its default entry."""
    guest = boot("grub", **PILLAR)
    # The image has them from its administrator; those would keep the new kernel away, as they are meant to.
    guest.machine.ask("zypper", "--non-interactive", "removelock", *KERNEL_LOCKS)
    assert change(guest, step, "before all", sls="klp").failed == {}
    assert next_start(guest) == {}
    guest.locks = locks(guest)
    return guest


def next_start(guest):
    """Return the environment block of GRUB without what is empty: the kernel of each entry."""
    lines = guest.machine.ask("grub2-editenv", "list").splitlines()
    block = dict(line.split("=", 1) for line in lines if "=" in line)
    releases = [NEW_KERNEL, KERNEL]
    return {
        name: next((release for release in releases if release in value), value)
        for name, value in block.items()
        if value
    }


def stage(guest):
    """Return the stage of the change, as a campaign is told of it."""
    found = guest.salt("klp_audit.state_summary").data["kernel_change"]
    return found["stage"] if found else None


def standing(guest):
    """Return what a change of kernel leaves on a host, and what must not move when something else is run."""
    ask = guest.machine.ask
    kernels = ask("rpm", "-q", "kernel-default", NEW_LIVE_PATCH).split()
    record = guest.machine.read("/var/lib/salt-klp/kernel.json")
    boot = ask("sh", "-c", "cd /boot && sha256sum vmlinuz-* initrd-5.14.21-150500.55.12-* grub2/grub.cfg grub2/grubenv")
    return {"kernels": sorted(kernels), "record": record, "boot": boot, "locks": locks(guest)}


def locks(guest):
    """Return the locks of zypper, byte for byte."""
    return guest.machine.read("/etc/zypp/locks")


def panics(guest, yes=True):
    """Let the new kernel panic when it starts, or no longer."""
    name = f"/etc/lab/panic-{NEW_KERNEL}"
    guest.machine.ask("touch" if yes else "rm", name)
    if not yes:
        guest.machine.ask(MKINITRD, NEW_KERNEL)


def restarted(guest, step, title):
    """Restart the host as its administrator does, and return what its console said since then."""
    begun = len(guest.machine.console())
    with step(f"{title}, until the minion answers"):
        guest.rebooted()
    return guest.machine.console()[begun:]
