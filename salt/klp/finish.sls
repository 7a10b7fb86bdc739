# The run is over: the next one makes a backup of its own.
{%- from "klp/map.jinja" import alone with context %}

include:
  - klp.settle
{%- if not alone %}

klp-finished:
  root_backup.finished:
    - require:
      - klp: klp-settled
{%- endif %}
