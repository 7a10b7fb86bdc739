# Hosts that are patched without a backup: you can simply rebuild them, or something else saves them.
# backend: none means that no backup is made and nothing can be restored by salt-klp. Rollback of the live patch
# itself (klp.rollback) stays.
klp:
  backup:
    backend: none
