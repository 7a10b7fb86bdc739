# Microsoft Azure: an incremental snapshot of the OS disk. Install azure-root-snapshot (beside this file) as
# /usr/local/sbin/azure-root-snapshot, mode 0755. Its first lines name the settings for /etc/sysconfig/root-snapshot.
# The rights come from the managed identity (az login --identity).
# A restore is by hand: stop the host, make a disk of the snapshot, and swap the OS disk (az vm update --os-disk).
# backend: command. salt-klp lets the program create a snapshot, verify it, and delete all but the newest three
# (keep).
klp:
  backup:
    backend: command
    create: [/usr/local/sbin/azure-root-snapshot, create]
    verify: [/usr/local/sbin/azure-root-snapshot, verify]
    delete: [/usr/local/sbin/azure-root-snapshot, delete]
    keep: 3
