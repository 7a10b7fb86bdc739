# The way back of the fleet to the first live patch but the empty one, at once and without waves:
# salt-run klp.plan rollback, then salt-run klp.run with the id it shows. Hosts are held there until klp.unhold.
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
