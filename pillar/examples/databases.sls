# Database hosts, which are busy and have drivers of third parties. backend: auto, as the root file system is.
# transition:timeout: tasks get half an hour to move to the new live patch. lock_timeout: so does another zypper, 15
# minutes. unsigned_modules: a kernel that is tainted by unsigned modules passes the last check; set it only if you know
# which. locks:extra: the database itself is updated by its administrators, never here. exclude: one advisory and the
# packages of one product stay out, until you take them from the list; each run names them.
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
