# The end of live patching on this host, as pillar klp:disable says: packages first, the locks of the kernel last.
{%- from "klp/map.jinja" import skipped, wrong with context %}

klp-disabled:
{%- if skipped and wrong %}
  test.succeed_without_changes:
    - comment: {{ skipped | json }}
{%- elif wrong %}
  test.fail_without_changes:
    - name: {{ wrong | json }}  # with test=True the comment is Salt's own
    - comment: {{ wrong | json }}
{%- else %}
  klp.disabled: []
{%- endif %}
