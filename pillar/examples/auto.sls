# A fleet with btrfs roots and roots on logical volumes. backend: auto takes on each host what fits (snapper or lvm) and
# says which. size: a classic LVM snapshot gets room for changes of 30 percent of the root volume; it is lost if it runs
# full. keep: the newest two good backups stay, older ones that were made here are deleted.
klp:
  backup:
    backend: auto
    size: 30
    keep: 2
