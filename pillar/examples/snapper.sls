# Hosts whose root is btrfs with a snapper configuration: backend snapper, and all else as it is by default.
klp:
  backup:
    backend: snapper
