# The steady state for the highstate: locked, enabled, live patch at the declared level, settled.
include:
  - klp.ready
  - klp.lock
  - klp.enable
  - klp.level
  - klp.settle
  - klp.finish
