# Hosts whose root is btrfs with a snapper configuration: backend snapper. The remaining keys have their defaults.
klp:
  backup:
    backend: snapper
