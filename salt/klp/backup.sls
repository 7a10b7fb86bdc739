# The backup before a maintenance run, made only if something is about to change.
{%- from "klp/map.jinja" import alone with context %}

include:
  - klp.lock
{%- if not alone %}

klp-backup:
  root_backup.taken:
    - before: klp.patch
    - require:
      - zypper: klp-locks
{%- endif %}
