# The end of live patching on this host, as pillar klp:disable says: packages first, the locks of the kernel last.
{%- from "klp/map.jinja" import skipped, wrong, nothing_done with context %}

klp-disabled:
{%- if wrong %}
{{- nothing_done(skipped, wrong) }}
{%- else %}
  klp.disabled: []
{%- endif %}
