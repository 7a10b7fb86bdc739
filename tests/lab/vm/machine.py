"""One virtual machine: QEMU without acceleration, a disk of its own, its console, and a look inside by its agent."""

from __future__ import annotations

import base64
import shutil
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from qemu.qmp.legacy import QEMUMonitorProtocol

from ..host import wait_until
from ..packages import KERNEL
from .build import Build, Image, pack
from .debian import ask
from .kernel import CMDLINE

# Software emulation: a /dev/kvm that is there need not work. The CPU lacks cx16 because the kernel trips over it there.
ACCEL = ["-machine", "q35", "-accel", "tcg,thread=multi", "-cpu", "max,-cx16", "-smp", "2", "-m", "1024"]
HOST = "10.0.2.2"  # what the guest calls the machine that it runs on
POLL = 0.1
BOOTED = "lab: root file system mounted"
BOOT_SECONDS = (200, 400, 800)  # for each attempt to boot


class Machine:
    """
    A virtual machine; ``seed`` maps paths in the guest to texts that it gets before its first boot.

    It writes to overlays of ``image``. ``disks`` are the sizes of empty disks that it gets beside it.
    """

    def __init__(
        self, build: Build, folder: Path, image: Image, seed: dict[str, str], disks: Sequence[str] = ()
    ) -> None:
        self.build, self.image = build, image
        self.disk = folder / "disk.qcow2"
        self.disks = [folder / f"disk-{number}.raw" for number in range(1, len(disks) + 1)]
        self.console_file = folder / "console.txt"
        self.boot = folder / "boot.qcow2"  # with GRUB, if the image has such a disk
        self._initrd = folder / "initrd"
        # The path of a UNIX socket has at most 107 characters.
        self._sockets = Path(tempfile.mkdtemp(prefix="klp-vm-"))
        self._process: subprocess.Popen[bytes] | None = None
        self._agent: QEMUMonitorProtocol | None = None
        folder.mkdir(parents=True)
        for source, path in ((image.path, self.disk), (image.boot, self.boot)):
            if source:
                ask("qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", str(source), str(path))
        for path, size in zip(self.disks, disks, strict=True):
            ask("qemu-img", "create", "-q", "-f", "raw", str(path), size)
        self._add_seed(folder / "seed", seed)

    def _add_seed(self, stage: Path, seed: dict[str, str]) -> None:
        stage.mkdir()
        for name, text in seed.items():
            path = stage / "seed" / name.lstrip("/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            path.chmod(0o600 if name.endswith(".pem") else 0o644)
        pack(stage, stage / "archive")
        # The kernel unpacks archives one after the other into the same file system; where GRUB boots, /boot has them.
        before = [] if self.image.boot else [self.build.initrd, *self.image.archives]
        self._initrd.write_bytes(b"".join(path.read_bytes() for path in [*before, stage / "archive"]))
        subprocess.run(["truncate", "--size=%512", str(self._initrd)], check=True)  # whole sectors of a disk
        shutil.rmtree(stage)

    # -- life ------------------------------------------------------------------------------------------------

    def __enter__(self) -> Machine:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _argv(self) -> list[str]:
        program = shutil.which("qemu-system-x86_64")
        if not program:
            raise RuntimeError("qemu-system-x86_64 is missing: run tools/packages.sh system as root")
        agent = self._sockets / "agent"
        return [
            *("setpriv", "--pdeathsig", "KILL"),  # it ends with the test, however that one ends
            *(program, *ACCEL, "-nodefaults", "-display", "none"),
            *(["-no-reboot"] if self.image.boot else self._kernel_argv()),
            *self._disks_argv(),
            *("-netdev", "user,id=net", "-device", "virtio-net-pci,netdev=net", "-device", "virtio-rng-pci"),
            *("-chardev", f"file,id=console,path={self.console_file},append=on", "-serial", "chardev:console"),
            *("-chardev", f"socket,id=agent,path={agent},server=on,wait=off", "-device", "virtio-serial"),
            *("-device", "virtserialport,chardev=agent,name=org.qemu.guest_agent.0"),
        ]

    def _kernel_argv(self) -> list[str]:
        image = self.image
        cmdline = f"{CMDLINE} lab.kernel={KERNEL} root={image.root} rootfstype={image.fstype} {image.options}".strip()
        return ["-kernel", str(self.build.kernel), "-initrd", str(self._initrd), "-append", cmdline]

    def _disks_argv(self) -> list[str]:
        """Return the disks in the order of their names in the guest: /dev/vda is the root."""
        by_grub = {self.boot: "qcow2", self._initrd: "raw"} if self.image.boot else {}
        disks = {self.disk: "qcow2", **by_grub, **dict.fromkeys(self.disks, "raw")}
        found = []
        for number, (path, kind) in enumerate(disks.items()):
            found += ["-drive", f"file={path},format={kind},if=none,id=disk{number},cache=writeback"]
            first = ",bootindex=0" if path == self.boot else ""
            found += ["-device", f"virtio-blk-pci,drive=disk{number}{first}"]
        return found

    def start(self) -> Machine:
        """Switch the machine on and wait until it has found its disk."""
        begun = len(self.console())
        self._launch()
        self.wait_for_boot(begun)
        return self

    def wait_for_boot(self, since: int) -> None:
        """
        Wait until the console says, behind the position ``since``, that the machine has found its disk.

        Now and then, on a busy machine, the emulated clocks begin in a way that the kernel stops there for ever (seen
        once in some hundred boots); nothing has been read from the disk by then, and it is switched on again.
        """
        for patience in BOOT_SECONDS[:-1]:
            try:
                self.wait_for_console(BOOTED, patience, since)
                return
            except TimeoutError:
                self.power_cut()
                self._launch()
        self.wait_for_console(BOOTED, BOOT_SECONDS[-1], since)

    def _launch(self) -> None:
        agent = self._sockets / "agent"
        agent.unlink(missing_ok=True)
        self._process = subprocess.Popen(
            self._argv(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )

        def listens() -> bool:
            self.check()
            return agent.exists()

        wait_until(listens, 60, "the emulator to start")

    def power_cut(self) -> None:
        """End the emulator as a power cut ends a host: what the guest has not yet handed to its disk is lost."""
        self._hang_up()
        if self._process:
            self._process.kill()
            self._process.communicate(timeout=60)
        self._process = None

    def stop(self) -> None:
        """Switch the machine off for good; its console stays to be read."""
        self.power_cut()
        for path in (self.disk, self.boot, *self.disks):
            path.unlink(missing_ok=True)
        shutil.rmtree(self._sockets)

    def check(self) -> None:
        """
        Raise RuntimeError if the emulator has ended by itself, with what it said.

        Where GRUB boots it ends at a restart, and is begun anew: on a busy machine a kernel that was started again in
        the same emulator stopped before its first message in two of some ten restarts. That would cost its one try.
        """
        if self._process and self._process.poll() == 0 and self.image.boot:
            self.power_cut()
            self._launch()
        if self._process and self._process.poll() is not None:
            assert self._process.stderr
            said = self._process.stderr.read().decode(errors="replace")
            raise RuntimeError(f"the emulator ended: {said}\n{self.console()[-2000:]}")

    # -- console ---------------------------------------------------------------------------------------------

    def console(self) -> str:
        """Return all that kernel and tests have written to the console since the first boot."""
        return self.console_file.read_text(errors="replace") if self.console_file.exists() else ""

    def wait_for_console(self, text: str, timeout: float, since: int = 0) -> int:
        """Wait until the console has ``text`` behind the position ``since``; return the position behind it."""
        deadline = time.monotonic() + timeout
        while True:
            found = self.console().find(text, since)
            if found >= 0:
                return found + len(text)
            self.check()
            if time.monotonic() > deadline:
                raise TimeoutError(f"waited {timeout} s for {text!r} on the console:\n{self.console()[-3000:]}")
            time.sleep(POLL / 10)

    # -- a look inside ---------------------------------------------------------------------------------------

    def _hang_up(self) -> None:
        if self._agent:
            self._agent.close()
        self._agent = None

    def _ask_agent(self, command: str, timeout: float, **arguments: Any) -> Any:
        if not self._agent:
            self._agent = QEMUMonitorProtocol(str(self._sockets / "agent"))
            self._agent.connect(negotiate=False)
        self._agent.settimeout(timeout)
        return self._agent.cmd(command, **arguments)

    def run(self, argv: list[str], timeout: float = 300) -> subprocess.CompletedProcess[str]:
        """Run a program in the guest for the test itself; the product is only ever driven through Salt."""
        env = ["PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LC_ALL=C"]
        options = {"path": argv[0], "arg": argv[1:], "env": env, "capture-output": True}
        pid = self._ask_agent("guest-exec", timeout, **options)["pid"]
        deadline = time.monotonic() + timeout
        while not (answer := self._ask_agent("guest-exec-status", timeout, pid=pid))["exited"]:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{' '.join(argv)}: no end within {timeout} s in the guest")
            time.sleep(POLL)
        said = [base64.b64decode(answer.get(key, "")).decode(errors="replace") for key in ("out-data", "err-data")]
        return subprocess.CompletedProcess(argv, answer.get("exitcode", -answer.get("signal", 0)), *said)

    def ask(self, *argv: str, timeout: float = 300) -> str:
        """Return what a program in the guest says; raise with its text when it fails."""
        done = self.run(list(argv), timeout)
        if done.returncode:
            raise RuntimeError(f"{' '.join(argv)}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    def read(self, path: str) -> str:
        """Return the text of a file in the guest."""
        return self.ask("cat", path)
