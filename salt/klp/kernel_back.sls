# Rollback from a new kernel: the old one is the default again. After the restart the same SLS verifies it. It asks
# for no healthy host.
{%- from "klp/map.jinja" import hooked, wrong, skipped, nothing_done with context %}

klp-kernel-back:
{%- if wrong %}
{{- nothing_done(skipped, wrong) }}
{%- else %}
  klp.kernel_restored: []
{%- if hooked %}

klp-kernel-back-hook-after:
  klp.hooked:
    - hook: after
    - around: klp.kernel_back
    - require_in:
      - klp: klp-kernel-back
{%- endif %}
{%- endif %}
