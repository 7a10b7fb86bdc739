# Tools and a live patch of the running kernel: never before there is a backup, never before the kernel is locked.
{%- from "klp/map.jinja" import klp, alone with context %}

include:
  - klp.ready
  - klp.lock
{%- if not alone %}

klp-backup-enable:
  root_backup.taken:
    - before: klp
    - require:
      - klp-ready
    - require_in:
      - zypper: klp-locks

klp-enabled:
  klp.enabled:
    - level: {{ klp["level"] | json }}
    - require:
      - root_backup: klp-backup-enable
      - zypper: klp-locks
{%- endif %}
