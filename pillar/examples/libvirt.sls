# A virtual machine of libvirt (KVM): a snapshot of this virtual machine. The host requests it by ssh from its
# hypervisor. Install libvirt-root-snapshot (beside this file) on both as /usr/local/sbin/libvirt-root-snapshot, mode
# 0755. Name the hypervisor in /etc/sysconfig/root-snapshot of the host: HYPERVISOR=klp@kvm1. A user of libvirt is
# root on the hypervisor. So the host gets a key that can do only this, in authorized_keys of that user (of group
# libvirt):
#   restrict,command="/usr/local/sbin/libvirt-root-snapshot for DOMAIN" ssh-ed25519 AAAA... sles1
# All disks must be qcow2 files, since these snapshots are inside of them. The host stands still while its memory is
# written to disk. A host with UEFI has such snapshots from libvirt 10.9 on, with variables (NVRAM) in a qcow2 file.
# If libvirt refuses them, nothing is patched.
# timeout: 600, so a hypervisor that hangs ends the run after ten minutes.
# backend: command. salt-klp lets the program create a snapshot, verify it, and delete all but the newest two (keep).
# restore is not set: libvirt restores disks at once, under a running host, not at its next start. Shut the host down.
# Then, on the hypervisor: libvirt-root-snapshot for DOMAIN restore ID
klp:
  backup:
    backend: command
    create: [/usr/local/sbin/libvirt-root-snapshot, create]
    verify: [/usr/local/sbin/libvirt-root-snapshot, verify]
    delete: [/usr/local/sbin/libvirt-root-snapshot, delete]
    timeout: 600
    keep: 2
