# A host behind a load balancer. hooks: SLS of your own around a run that changes something. before takes the host out, and
# if it fails nothing is changed; after brings it back, whatever has happened, also after a kill by the next run; on_failure
# tells somebody. docs/how-to/hooks.md has the three SLS. backend: auto, as the root file system is.
klp:
  backup:
    backend: auto
  hooks:
    before: site.drain
    after: site.undrain
    on_failure: site.alarm
