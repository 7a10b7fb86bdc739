# A host with an application of its own.
# health: how to check it. commands must end with exit code 0: run is the program with its arguments, without a shell;
# timeout is its deadline in seconds; name is its name in messages. services must run.
# wait: after a run the application has two minutes to become healthy.
# A host that is unhealthy before its run is not patched. A host that is unhealthy afterwards has failed, and stops
# its campaign.
# backend: auto, so the root file system decides.
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
