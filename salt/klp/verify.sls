# rpm, sysfs and the klp tool agree.
{%- from "klp/map.jinja" import alone with context %}

include:
  - klp.settle
  - klp.finish
{%- if not alone %}

klp-verified:
  klp.verified:
    - require:
      - klp: klp-settled
    - require_in:
      - root_backup: klp-finished
{%- endif %}
