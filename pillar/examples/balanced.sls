# A host behind a load balancer.
# hooks: SLS of your own around a run that changes packages. before drains the host; if it fails, nothing is changed.
# after undrains the host, also after a failure; after a kill the next run does it. on_failure notifies somebody.
# docs/how-to/hooks.md has the three SLS.
# backend: auto, so the root file system decides.
klp:
  backup:
    backend: auto
  hooks:
    before: site.drain
    after: site.undrain
    on_failure: site.alarm
