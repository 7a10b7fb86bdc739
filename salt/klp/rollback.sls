# The way back from a live patch that does harm: an earlier one, held until klp.unhold. Everything else is as it was.
{%- from "klp/map.jinja" import klp, skipped with context %}

include:
  - klp.ready
  - klp.settle
{%- if not skipped %}

klp-rolled-back:
  klp.rolled_back:
    - level: {{ klp["rollback"]["level"] | json }}
    - force: {{ klp["rollback"]["force"] | json }}
    - require:
      - klp-ready
    - require_in:
      - klp: klp-settled

klp-rollback-verified:
  klp.verified:
    - require:
      - klp: klp-settled
{%- endif %}
