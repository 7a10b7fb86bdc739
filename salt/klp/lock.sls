# Kernel packages stay as they are, whatever ordinary patching brings.
{%- from "klp/map.jinja" import checked, alone with context %}

include:
  - klp.ready
{%- if not alone %}

klp-locks:
  zypper.locked:
    - packages: {{ checked["locks"] | json }}
    - require:
      - klp-ready
{%- endif %}
