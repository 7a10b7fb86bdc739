# backend: command, a volume snapshot of the cloud or the storage before every change. Both programs are yours. create
# prints the id of its snapshot. verify exits with 0 if the snapshot named by its last argument is good. No program
# deletes snapshots here: remove old ones yourself. Their environment has KLP_RUN (id of the run; make no second
# snapshot for the same one) and KLP_HOST (minion id).
klp:
  backup:
    backend: command
    create: [/usr/local/sbin/root-snapshot, create]
    verify: [/usr/local/sbin/root-snapshot, verify]
