# Three canaries, watched for an hour, then all others. When a gate fails, the hosts of its wave are rolled back to
# their previous live patch, and no host gets the new one until: salt-run klp.release
klp_campaign:
  target: 'web*'
  target_type: glob
  waves:
    - name: canary
      take: 3
      batch: 1
      soak: [1, 10, 60]
    - name: rest
      take: rest
  batch: '10%'
  soak:
    minutes: [1, 15]
    services: [sshd, nginx]
  limits:
    failed_percent: 2
  on_failure: rollback
