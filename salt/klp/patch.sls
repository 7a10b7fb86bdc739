# The maintenance run: preflight, locks, backup, all updates but the kernel, newest live patch, settle, verify; around
# what changes something the hooks of pillar klp:hooks.
{%- from "klp/map.jinja" import hooked, alone with context %}

include:
  - klp.preflight
  - klp.lock
  - klp.backup
  - klp.update
  - klp.newest
  - klp.settle
  - klp.verify
  - klp.finish
{%- if hooked and not alone %}
  - klp.hooks
{%- endif %}
