# SLS of your own around a maintenance run, as pillar klp:hooks says. `after` waits for every state and needs only one that
# is true: it comes when the run has failed, too. A run of its own states is hidden in each of these, see
# docs/explanation/run.md.
include:
  - klp.ready
  - klp.lock
  - klp.backup
  - klp.update
  - klp.newest
  - klp.settle
  - klp.verify
  - klp.finish

klp-hook-before:
  klp.hooked:
    - hook: before
    - around: klp.patch
    - require:
      - zypper: klp-locks
    - require_in:
      - root_backup: klp-backup

klp-hook-after:
  klp.hooked:
    - hook: after
    - around: klp.patch
    - require:
      - klp-ready
    - require_any:
      - klp-ready
      - klp: klp-hook-before
      - root_backup: klp-backup
      - zypper: klp-updates
      - klp: klp-held
      - klp: klp-newest
      - klp: klp-settled
      - klp: klp-verified
    - require_in:
      - root_backup: klp-finished

klp-hook-on-failure:
  klp.hooked:
    - hook: on_failure
    - around: klp.patch
    - require:
      - klp-ready
    - require_any:
      - klp-ready
      - klp: klp-hook-after
      - root_backup: klp-finished
