# Nothing speaks against live patching this host; no zypper is started for that.
{%- from "klp/map.jinja" import skipped, wrong, nothing_done with context %}

klp-ready:
{%- if skipped or wrong %}
{{- nothing_done(skipped, wrong) }}
{%- else %}
  klp.ready: []
{%- endif %}
