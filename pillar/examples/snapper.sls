# Hosts whose root is btrfs with a snapper configuration.
klp:
  backup:
    backend: snapper
