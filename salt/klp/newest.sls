# The live patch of the running kernel at the declared level, newer ones looked for in the repositories.
{%- from "klp/map.jinja" import klp with context %}

include:
  - klp.update
  - klp.settle

klp-held:
  klp.held:
    - require:
      - zypper: klp-updates
    - require_in:
      - klp: klp-newest

klp-newest:
  klp.patched:
    - level: {{ klp["level"] | json }}
    - search: true
    - require:
      - zypper: klp-updates
    - require_in:
      - klp: klp-settled
