# The yearly kernel, asked for by name: a newer kernel and its live patch beside the running one, started once. After the
# restart, which is yours or that of a campaign, the same SLS verifies it and makes it the default.
{%- from "klp/map.jinja" import hooked, alone with context %}

include:
  - klp.ready
  - klp.lock
  - klp.settle
{%- if not alone %}

klp-kernel-planned:
  klp.kernel_changed:
    - step: plan
    - require:
      - klp-ready
      - klp: klp-settled
    - require_in:
      - zypper: klp-locks

klp-kernel-backup:
  root_backup.taken:
    - before: klp.kernel
    - require:
      - klp: klp-kernel-planned
      - zypper: klp-locks

klp-kernel-installed:
  klp.kernel_changed:
    - step: install
    - require:
      - root_backup: klp-kernel-backup

klp-kernel:
  klp.kernel_changed:
    - step: verify
    - require:
      - klp: klp-kernel-installed

klp-kernel-finished:
  root_backup.finished:
    - require:
      - klp: klp-kernel
{%- if hooked %}

klp-kernel-hook-before:
  klp.hooked:
    - hook: before
    - around: klp.kernel
    - require:
      - klp: klp-kernel-planned
      - zypper: klp-locks
    - require_in:
      - root_backup: klp-kernel-backup

klp-kernel-hook-after:
  klp.hooked:
    - hook: after
    - around: klp.kernel
    - require:
      - klp-ready
    - require_any:
      - klp-ready
      - klp: klp-kernel-planned
      - klp: klp-kernel-hook-before
      - root_backup: klp-kernel-backup
      - klp: klp-kernel-installed
    - require_in:
      - klp: klp-kernel

klp-kernel-hook-on-failure:
  klp.hooked:
    - hook: on_failure
    - around: klp.kernel
    - require:
      - klp-ready
    - require_any:
      - klp-ready
      - klp: klp-kernel-hook-after
      - klp: klp-kernel
      - root_backup: klp-kernel-finished
{%- endif %}
{%- endif %}
