# The end of live patching on this host, as pillar klp:disable says: packages first, the locks of the kernel last.
{%- from "klp/map.jinja" import synced with context %}
{%- set unsynced = "salt-klp is not on this minion yet, run: salt '" ~ grains["id"] ~ "' saltutil.sync_all" %}

klp-disabled:
{%- if synced %}
  klp.disabled: []
{%- else %}
  test.fail_without_changes:
    - comment: {{ unsynced | json }}
{%- endif %}
