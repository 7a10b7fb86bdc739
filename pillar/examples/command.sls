# backend: command, a volume snapshot of the cloud or the storage before every change. Both programs are yours: create
# prints the id of the snapshot it made, verify exits 0 if the snapshot named by its last argument is good. None is
# named that deletes: old ones are yours to remove. In their environment: KLP_RUN (id of the run; make no second
# snapshot for the same one) and KLP_HOST (minion id).
klp:
  backup:
    backend: command
    create: [/usr/local/sbin/root-snapshot, create]
    verify: [/usr/local/sbin/root-snapshot, verify]
