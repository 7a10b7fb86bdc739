# Everything pending but the kernel, as pillar klp:update chooses, and the live patch by the same command.
{%- from "klp/map.jinja" import klp, checked, alone with context %}

include:
  - klp.backup
  - klp.lock
  - klp.finish
{%- if not alone %}

klp-updates:
  zypper.updated:
    - locked: {{ checked["locks"] | json }}
    - live_patch: {{ klp["level"] | json }}
    - require:
      - root_backup: klp-backup
      - zypper: klp-locks
    - require_in:
      - root_backup: klp-finished
{%- endif %}
