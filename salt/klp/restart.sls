# One restart of this host, for a campaign of kind kernel and for nobody else; hook after comes when it is up again.
{%- from "klp/map.jinja" import hooked, alone with context %}

include:
  - klp.ready
{%- if not alone %}

klp-restart:
  klp.restarted:
    - require:
      - klp-ready
{%- if hooked %}

klp-restart-hook-before:
  klp.hooked:
    - hook: before
    - around: klp.restart
    - require:
      - klp-ready
    - require_in:
      - klp: klp-restart

klp-restart-hook-after:
  klp.hooked:
    - hook: after
    - around: klp.restart
    - require:
      - klp-ready
    - onfail:
      - klp: klp-restart-hook-before
      - klp: klp-restart
{%- endif %}
{%- endif %}
