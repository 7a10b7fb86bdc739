# Google Cloud: a snapshot of the boot disk. Install google-root-snapshot (beside this file) as
# /usr/local/sbin/google-root-snapshot, mode 0755, and say there what it needs to know in /etc/sysconfig/root-snapshot.
# Rights come from the service account of the instance. A backup is put back by hand: stop the host, make a disk of the
# snapshot and attach it as boot disk. backend: command has the program create a snapshot, verify it, and delete what is
# older than the newest three (keep).
klp:
  backup:
    backend: command
    create: [/usr/local/sbin/google-root-snapshot, create]
    verify: [/usr/local/sbin/google-root-snapshot, verify]
    delete: [/usr/local/sbin/google-root-snapshot, delete]
    keep: 3
