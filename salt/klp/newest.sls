# The live patch of the running kernel at the declared level, newer ones looked for in the repositories. It comes with the
# updates; where these fail it comes all the same, after the locks and the backup. `require_any` waits for them and needs
# only the backup: without it Salt 3006 runs these states first, and the live patch comes by a command of its own.
{%- from "klp/map.jinja" import klp, alone with context %}

include:
  - klp.backup
  - klp.lock
  - klp.update
  - klp.settle
{%- if not alone %}

klp-held:
  klp.held:
    - require:
      - root_backup: klp-backup
      - zypper: klp-locks
    - require_any:
      - root_backup: klp-backup
      - zypper: klp-updates
    - require_in:
      - klp: klp-newest

klp-newest:
  klp.patched:
    - level: {{ klp["level"] | json }}
    - search: true
    - require:
      - root_backup: klp-backup
      - zypper: klp-locks
    - require_any:
      - root_backup: klp-backup
      - zypper: klp-updates
    - require_in:
      - klp: klp-settled
{%- endif %}
