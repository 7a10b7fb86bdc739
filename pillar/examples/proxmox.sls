# Proxmox VE: a snapshot of this virtual machine, of its disks without its memory, made on its node, which the host asks
# by ssh. Install proxmox-root-snapshot (beside this file) on both as /usr/local/sbin/proxmox-root-snapshot, mode 0755.
# Say the node in /etc/sysconfig/root-snapshot of the host: HYPERVISOR=root@pve1. The host gets a key that can do this
# one thing, in /root/.ssh/authorized_keys of the node:
#   restrict,command="/usr/local/sbin/proxmox-root-snapshot for VMID" ssh-ed25519 AAAA... sles1
# A machine that has moved to another node is not found, and then nothing is patched. The storage has to know snapshots
# (ZFS, Ceph, LVM-thin, qcow2 files). With the guest agent switched on, the file systems are frozen for the moment.
# backend: command has the program create a snapshot, verify it, and delete older ones. keep: 1 since some storages, ZFS
# among them, can only go back to the newest snapshot. restore is not set: Proxmox VE puts disks back at once, under a
# running host, not at its next start. Shut the host down, then, on the node: proxmox-root-snapshot for VMID restore ID
klp:
  backup:
    backend: command
    create: [/usr/local/sbin/proxmox-root-snapshot, create]
    verify: [/usr/local/sbin/proxmox-root-snapshot, verify]
    delete: [/usr/local/sbin/proxmox-root-snapshot, delete]
    keep: 1
