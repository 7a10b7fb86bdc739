# Hosts that are registered with SUSE Customer Center themselves and lack the live patching product.
# regcode: the code that activates the product. Keep it out of version control; Salt's gpg renderer or sdb can supply
# it.
# pattern: lp_sles is installed with the tools. On SLES 16 it is called kernel_livepatching.
# backend: snapper, so their roots must be btrfs.
klp:
  product:
    regcode: INTERNAL-USE-ONLY-0123
  tools:
    pattern: lp_sles
  backup:
    backend: snapper
