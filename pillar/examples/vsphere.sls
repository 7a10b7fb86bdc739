# VMware vSphere: a snapshot of this virtual machine, of its disks without its memory, made with govc from the host
# itself. Install govc, and vsphere-root-snapshot (beside this file) as /usr/local/sbin/vsphere-root-snapshot, mode
# 0755. Write the settings of govc into /etc/sysconfig/root-snapshot, mode 0600 (the program refuses any other):
# GOVC_URL, GOVC_USERNAME, GOVC_PASSWORD, GOVC_VM. Give that user a role with only "Create snapshot" and "Remove
# snapshot" on this machine.
# backend: command. salt-klp lets the program create a snapshot, verify it, and delete older ones.
# keep: 1, since every snapshot slows the machine down and grows. VMware advises against keeping one for over 72
# hours.
# restore is not set: vSphere restores disks at once, under a running host, not at its next start. Shut the host down.
# Then, on a machine with govc, the same settings and a user that may revert: vsphere-root-snapshot restore ID
klp:
  backup:
    backend: command
    create: [/usr/local/sbin/vsphere-root-snapshot, create]
    verify: [/usr/local/sbin/vsphere-root-snapshot, verify]
    delete: [/usr/local/sbin/vsphere-root-snapshot, delete]
    keep: 1
