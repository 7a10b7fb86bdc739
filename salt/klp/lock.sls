# Kernel packages stay as they are, whatever ordinary patching brings.
{%- from "klp/map.jinja" import checked, skipped with context %}

include:
  - klp.ready
{%- if not skipped %}

klp-locks:
  zypper.locked:
    - packages: {{ checked["locks"] | json }}
    - require:
      - klp-ready
{%- endif %}
