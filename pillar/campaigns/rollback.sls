# Rollback of the fleet to level 2, the first live patch that is not empty, at once and without waves: salt-run
# klp.plan rollback, then salt-run klp.run with the id it shows. Hosts are held there until klp.unhold.
# A level as a number means a different live patch for each kernel. For hosts with several kernels use level:
# previous.
klp_campaign:
  level: 2
  waves:
    - name: all
      take: rest
      batch: '50%'
  soak:
    minutes: [1]
  limits:
    failed_percent: 100
    unreachable_percent: 100
  quarantine: false
