# The transition has ended; if it does not, the tasks that hold it up are named.
{%- from "klp/map.jinja" import klp, alone with context %}

include:
  - klp.ready
{%- if not alone %}

klp-settled:
  klp.settled:
    - timeout: {{ klp["transition"]["timeout"] | json }}
    - require:
      - klp-ready
{%- endif %}
