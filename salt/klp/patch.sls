# The maintenance run: preflight, locks, backup, all updates but the kernel, newest live patch, settle, verify.
include:
  - klp.preflight
  - klp.lock
  - klp.backup
  - klp.update
  - klp.newest
  - klp.settle
  - klp.verify
  - klp.finish
