# A storage array (NetApp ONTAP, by ssh): a snapshot of the volume that holds the root LUN. Install ontap-root-snapshot
# (beside this file) as /usr/local/sbin/ontap-root-snapshot, mode 0755, and say there what it needs to know in
# /etc/sysconfig/root-snapshot. The key of ssh is a file of root's. A backup is put back by hand: stop the host, restore
# the volume from the snapshot on the array. backend: command has the program create a snapshot, verify it, and delete
# what is older than the newest three (keep).
klp:
  backup:
    backend: command
    create: [/usr/local/sbin/ontap-root-snapshot, create]
    verify: [/usr/local/sbin/ontap-root-snapshot, verify]
    delete: [/usr/local/sbin/ontap-root-snapshot, delete]
    keep: 3
