# Kernel packages stay as they are, whatever ordinary patching brings.
{%- from "klp/map.jinja" import checked with context %}

include:
  - klp.ready

klp-locks:
  zypper.locked:
    - packages: {{ checked["locks"] | json }}
    - require:
      - klp-ready
