# A fleet with btrfs roots and roots on logical volumes.
# backend: auto selects snapper or lvm on each host, and says which.
# size: a classic LVM snapshot gets room for changes of 30 percent of the root volume. It is lost if it runs full.
# keep: the newest two good backups stay. Older ones that salt-klp made are deleted.
klp:
  backup:
    backend: auto
    size: 30
    keep: 2
