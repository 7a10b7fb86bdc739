# Everything pending but the kernel, as pillar klp:update chooses.
{%- from "klp/map.jinja" import checked with context %}

include:
  - klp.backup
  - klp.lock

klp-updates:
  zypper.updated:
    - locked: {{ checked["locks"] | json }}
    - require:
      - root_backup: klp-backup
      - zypper: klp-locks
