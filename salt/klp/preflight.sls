# Before a maintenance run: every repository can be read, the klp tool is understood, and no transition is running.
{%- from "klp/map.jinja" import klp, alone with context %}

include:
  - klp.ready
  - klp.lock
{%- if not alone %}

klp-repositories:
  klp.ready:
    - refresh: true
    - require:
      - klp-ready

klp-calm:
  klp.settled:
    - timeout: {{ klp["transition"]["timeout"] | json }}
    - require:
      - klp: klp-repositories
    - require_in:
      - zypper: klp-locks
{%- endif %}
