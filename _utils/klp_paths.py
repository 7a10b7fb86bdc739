"""
Where things are on a host: each path of salt-klp stands here and nowhere else.
"""

# What salt-klp keeps, readable by root only.
RECORDS = "/var/lib/salt-klp"
CACHE = "/var/cache/salt-klp"
SHOWN = "/var/cache/salt-klp/shown"
RUN = "/run/salt-klp"
RPMDB_COPY = "/var/lib/salt-klp/rpmdb"

# The system.
OS_RELEASE = "/etc/os-release"
MACHINE_ID = "/etc/machine-id"
USR = "/usr"
LIVEPATCHING = "/etc/sysconfig/livepatching"
CREDENTIALS = "/etc/zypp/credentials.d/SCCcredentials"
BOOT = "/boot"
PRODUCTS = "/etc/products.d"
# In the order of zypper-lifecycle: what is read later goes over what was read before.
LIFECYCLE = ("/var/lib/lifecycle/data", "/usr/lib/lifecycle/data", "/usr/share/lifecycle/data")

# The kernel.
LIVEPATCH = "/sys/kernel/livepatch"
MODULES = "/sys/module"
SYSFS = "/sys"
PROC = "/proc"
MOUNTS = "/proc/self/mountinfo"
TAINTED = "/proc/sys/kernel/tainted"
BOOT_ID = "/proc/sys/kernel/random/boot_id"
KMSG = "/dev/kmsg"

# libzypp.
LOCKS = "/etc/zypp/locks"
REPOSITORIES = "/etc/zypp/repos.d"
NEEDREBOOT = "/etc/zypp/needreboot"
NEEDREBOOT_FOLDER = "/etc/zypp/needreboot.d"
REBOOT_FLAG = "/run/reboot-needed"
ZYPP_PID = "/run/zypp.pid"
# What readings of packages depend on: the rpm database, and repositories with their metadata.
RPM_DATABASE = (
    "/usr/lib/sysimage/rpm/rpmdb.sqlite",
    "/usr/lib/sysimage/rpm/rpmdb.sqlite-wal",
    "/usr/lib/sysimage/rpm/Packages*",
    "/var/lib/rpm/Packages",
)
METADATA = ("/var/cache/zypp/solv/*/cookie", "/etc/zypp/repos.d/*", "/etc/zypp/*.conf")
RAW_METADATA = "/var/cache/zypp/raw"
HISTORY = "/var/log/zypp/history"
ZYPP = ("/etc/zypp/*", "/etc/zypp/*/*")  # locks as well

# Boot loaders.
GRUB = "/boot/grub2"
GRUB_SNAPSHOTS = "/.snapshots/grub-snapshot.cfg"
LOADERS = ("/boot/efi/loader", "/boot/loader")
LOADER_CHOICES = ("/sys/firmware/efi/efivars/LoaderEntryOneShot-*", "/sys/firmware/efi/efivars/LoaderEntryDefault-*")
PURGE = "/boot/do_purge_kernels"
