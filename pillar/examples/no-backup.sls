# Hosts that are patched without a way back: they are made anew rather than repaired, or are saved by something else.
# backend: none means that no backup is made and nothing can be restored by salt-klp. The way back of the live patch
# itself (klp.rollback) stays.
klp:
  backup:
    backend: none
