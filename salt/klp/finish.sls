# The run is over: the next one makes a backup of its own.
{%- from "klp/map.jinja" import skipped with context %}

include:
  - klp.settle
{%- if not skipped %}

klp-finished:
  root_backup.finished:
    - require:
      - klp: klp-settled
{%- endif %}
