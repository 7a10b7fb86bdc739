# A backup of the root volume is put back at the next start, which is yours to make; run this again after it. It asks for
# no healthy host. The locks may be older in the backup: they are set again once it is in force, also those of a host
# that went back to an earlier live patch.
{%- from "klp/map.jinja" import klp, checked, skipped, wrong, nothing_done with context %}
{%- set restore = klp.get("restore", {}) %}

klp-restored:
{%- if wrong %}
{{- nothing_done(skipped, wrong) }}
{%- else %}
  root_backup.restored:
    - backup: {{ restore["backup"] | json }}
    - confirm: {{ restore["confirm"] | json }}

klp-restored-locks:
  zypper.locked:
    - packages: {{ checked["locks"] | json }}
    - require:
      - root_backup: klp-restored
    - unless:
      - fun: root_backup.pending_restore

klp-restored-held:
  klp.held:
    - require:
      - zypper: klp-restored-locks
    - unless:
      - fun: root_backup.pending_restore

klp-restored-verified:
  klp.verified: []
{%- endif %}
