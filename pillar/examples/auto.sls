# A fleet with btrfs roots and roots on logical volumes: each host takes what fits (snapper or lvm) and says which.
# A classic LVM snapshot gets room for changes of 30 percent of the root volume; it is lost if it runs full.
klp:
  backup:
    backend: auto
    size: 30
    keep: 2
