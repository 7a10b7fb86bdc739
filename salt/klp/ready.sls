# Nothing speaks against live patching this host; no zypper is started for that.
{%- from "klp/map.jinja" import synced with context %}
{%- set unsynced = "salt-klp is not on this minion yet, run: salt '" ~ grains["id"] ~ "' saltutil.sync_all" %}

klp-ready:
{%- if synced %}
  klp.ready: []
{%- else %}
  test.fail_without_changes:
    - comment: {{ unsynced | json }}
{%- endif %}
