# The run is over: the next one makes a backup of its own.
include:
  - klp.settle

klp-finished:
  root_backup.finished:
    - require:
      - klp: klp-settled
