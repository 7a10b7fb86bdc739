# Google Cloud: a snapshot of the boot disk. Install google-root-snapshot (beside this file) as
# /usr/local/sbin/google-root-snapshot, mode 0755. Its first lines name the settings for /etc/sysconfig/root-snapshot.
# The rights come from the service account of the instance.
# A restore is by hand: stop the host, make a disk of the snapshot, and attach it as boot disk.
# backend: command. salt-klp lets the program create a snapshot, verify it, and delete all but the newest three
# (keep).
klp:
  backup:
    backend: command
    create: [/usr/local/sbin/google-root-snapshot, create]
    verify: [/usr/local/sbin/google-root-snapshot, verify]
    delete: [/usr/local/sbin/google-root-snapshot, delete]
    keep: 3
