# The live patch is at the declared level; latest is looked for in a maintenance run only (klp.newest).
{%- from "klp/map.jinja" import klp, alone with context %}

include:
  - klp.enable
  - klp.settle
{%- if not alone %}

klp-level:
  klp.patched:
    - level: {{ klp["level"] | json }}
    - require:
      - klp: klp-enabled
    - require_in:
      - klp: klp-settled
{%- endif %}
