# SLS of your own around a maintenance run, as pillar klp:hooks says. `after` waits for every state that changes something,
# and needs only one that is true: it comes when the run has failed, too. The host is verified after it, since its
# application cannot be well while it is drained. Each of these is a run of its own states, see docs/explanation/run.md.
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
    - require_in:
      - klp: klp-verified
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
      - klp: klp-verified
      - root_backup: klp-finished
