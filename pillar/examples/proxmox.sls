# Proxmox VE: a snapshot of this virtual machine, of its disks without its memory. The host requests it by ssh from
# its node. Install proxmox-root-snapshot (beside this file) on both as /usr/local/sbin/proxmox-root-snapshot, mode
# 0755. Name the node in /etc/sysconfig/root-snapshot of the host: HYPERVISOR=root@pve1. The host gets a key that can
# do only this, in /root/.ssh/authorized_keys of the node:
#   restrict,command="/usr/local/sbin/proxmox-root-snapshot for VMID" ssh-ed25519 AAAA... sles1
# A machine that has moved to another node is not found, and then nothing is patched. The storage must support
# snapshots (ZFS, Ceph, LVM-thin, qcow2 files). If the guest agent is enabled, the file systems are frozen for the
# moment.
# backend: command. salt-klp lets the program create a snapshot, verify it, and delete older ones.
# keep: 1, since some storages, ZFS among them, can only restore the newest snapshot.
# restore is not set: Proxmox VE restores disks at once, under a running host, not at its next start. Shut the host
# down. Then, on the node: proxmox-root-snapshot for VMID restore ID
klp:
  backup:
    backend: command
    create: [/usr/local/sbin/proxmox-root-snapshot, create]
    verify: [/usr/local/sbin/proxmox-root-snapshot, verify]
    delete: [/usr/local/sbin/proxmox-root-snapshot, delete]
    keep: 1
