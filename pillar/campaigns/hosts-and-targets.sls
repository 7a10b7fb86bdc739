# Waves by name and by grain: two selected hosts, then the test systems, then a quarter of all, then the rest. The
# build farm is never included, and the nodes of a cluster (grain cluster) are patched one at a time. A wave may do
# without a soak, and may accept more failures than others.
klp_campaign:
  target: 'G@os_family:Suse and not G@roles:hypervisor'
  exclude: ['farm-*']
  apart: cluster
  waves:
    - name: chosen
      hosts: [mon1.example.com, build7.example.com]
    - name: test
      target: 'G@stage:test or E@^dev[0-9]+'
      batch: '50%'
      soak: []
      failed: 2
    - name: quarter
      take: '25%'
      soak: [5, 30, 240]
    - name: rest
  batch: 20
  limits:
    unreachable: 5
  presence:
    absent: refuse
