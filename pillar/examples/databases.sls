# Database hosts, which are busy and have drivers of third parties.
# backend: auto, so the root file system decides.
# transition:timeout: tasks have half an hour to move to the new live patch.
# lock_timeout: the run waits 15 minutes for another zypper.
# unsigned_modules: a kernel that is tainted by unsigned modules passes the last check. Set it only if you know the
# modules.
# locks:extra: salt-klp never updates the database itself; its administrators do.
# exclude: one advisory and the packages of one product are left out until you remove them from the list. Each run
# lists them.
klp:
  backup:
    backend: auto
  update:
    exclude: [SUSE-SLE-Module-Basesystem-15-SP5-2023-3242, 'sapconf*']
  locks:
    extra: [oracle-database]
  transition:
    timeout: 1800
  zypper:
    lock_timeout: 900
  verify:
    unsigned_modules: true
