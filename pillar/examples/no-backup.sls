# Hosts that are patched without a backup: you can simply rebuild them, or another tool saves them.
# backend: none means that no backup is made, and that salt-klp can restore nothing. Rollback of the live patch
# (klp.rollback) still works.
klp:
  backup:
    backend: none
