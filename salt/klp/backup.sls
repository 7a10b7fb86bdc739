# The way back before a maintenance run, taken only if something is about to change.
include:
  - klp.lock

klp-backup:
  root_backup.taken:
    - before: klp.patch
    - require:
      - zypper: klp-locks
