# Microsoft Azure: an incremental snapshot of the OS disk. Install azure-root-snapshot (beside this file) as
# /usr/local/sbin/azure-root-snapshot, mode 0755, and say there what it needs to know in /etc/sysconfig/root-snapshot.
# Rights come from the managed identity (az login --identity). A backup is put back by hand: stop the host, make a disk
# of the snapshot and swap the OS disk (az vm update --os-disk). backend: command has the program create a snapshot,
# verify it, and delete what is older than the newest three (keep).
klp:
  backup:
    backend: command
    create: [/usr/local/sbin/azure-root-snapshot, create]
    verify: [/usr/local/sbin/azure-root-snapshot, verify]
    delete: [/usr/local/sbin/azure-root-snapshot, delete]
    keep: 3
