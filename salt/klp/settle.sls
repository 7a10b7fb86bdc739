# The transition has ended; if it does not, the tasks that hold it up are named.
{%- from "klp/map.jinja" import klp with context %}

include:
  - klp.ready

klp-settled:
  klp.settled:
    - timeout: {{ klp["transition"]["timeout"] | json }}
    - require:
      - klp-ready
