# A host with an application of its own. health: what tells that it is well. commands have to end with exit code 0: run is
# the program with its arguments, no shell reads it; timeout is its deadline in seconds, name stands in messages. services
# have to run. wait: after a run they get two minutes to become well. A host that is ill before is not patched; one that
# is ill afterwards has failed, and stops its campaign. backend: auto, as the root file system is.
klp:
  backup:
    backend: auto
  health:
    commands:
      - name: shop
        run: [curl, -fsS, --max-time, '5', 'http://localhost:8080/health']
        timeout: 10
    services: [nginx]
    wait: 120
