# rpm, sysfs and the klp tool agree.
include:
  - klp.settle
  - klp.finish

klp-verified:
  klp.verified:
    - require:
      - klp: klp-settled
    - require_in:
      - root_backup: klp-finished
