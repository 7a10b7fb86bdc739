# Nothing speaks against live patching this host; no zypper is started for that.
{%- from "klp/map.jinja" import skipped, wrong with context %}

klp-ready:
{%- if skipped %}
  test.succeed_without_changes:
    - comment: {{ skipped | json }}
{%- elif wrong %}
  test.fail_without_changes:
    - name: {{ wrong | json }}  # with test=True the comment is Salt's own
    - comment: {{ wrong | json }}
{%- else %}
  klp.ready: []
{%- endif %}
