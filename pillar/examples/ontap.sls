# A storage array (NetApp ONTAP, by ssh): a snapshot of the volume that holds the root LUN. Install
# ontap-root-snapshot (beside this file) as /usr/local/sbin/ontap-root-snapshot, mode 0755. Its first lines name the
# settings for /etc/sysconfig/root-snapshot. The ssh key is a file of root.
# A restore is by hand: stop the host, and restore the volume from the snapshot on the array.
# backend: command. salt-klp lets the program create a snapshot, verify it, and delete all but the newest three
# (keep).
klp:
  backup:
    backend: command
    create: [/usr/local/sbin/ontap-root-snapshot, create]
    verify: [/usr/local/sbin/ontap-root-snapshot, verify]
    delete: [/usr/local/sbin/ontap-root-snapshot, delete]
    keep: 3
