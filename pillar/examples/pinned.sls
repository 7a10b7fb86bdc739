# A fleet that stays at one tested live patch level, with generous waits for busy database hosts.
klp:
  level: 3
  backup:
    backend: none
  transition:
    timeout: 1800
  zypper:
    lock_timeout: 900
  verify:
    unsigned_modules: true
