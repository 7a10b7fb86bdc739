# The master itself has what the file root has; without a campaign under way nothing depends on an older one.
klp-orch-sync:
  salt.runner:
    - name: saltutil.sync_all
    - reload_modules: true
