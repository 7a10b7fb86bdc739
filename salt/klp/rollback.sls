# Rollback from a harmful live patch: an earlier one, held until klp.unhold. Everything else is as it was; the
# hooks of pillar klp:hooks are around it.
{%- from "klp/map.jinja" import klp, hooked, alone with context %}

include:
  - klp.ready
  - klp.settle
{%- if not alone %}

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
{%- if hooked %}

klp-rollback-hook-before:
  klp.hooked:
    - hook: before
    - around: klp.rollback
    - require:
      - klp-ready
    - require_in:
      - klp: klp-rolled-back

klp-rollback-hook-after:
  klp.hooked:
    - hook: after
    - around: klp.rollback
    - require:
      - klp-ready
    - require_any:
      - klp-ready
      - klp: klp-rollback-hook-before
      - klp: klp-rolled-back
      - klp: klp-settled
    - require_in:
      - klp: klp-rollback-verified

klp-rollback-hook-on-failure:
  klp.hooked:
    - hook: on_failure
    - around: klp.rollback
    - require:
      - klp-ready
    - require_any:
      - klp-ready
      - klp: klp-rollback-hook-after
      - klp: klp-rollback-verified
{%- endif %}
{%- endif %}
