# Hosts that are registered with SUSE Customer Center themselves and lack the live patching product: it is activated
# with the code in regcode. Keep that out of version control; Salt's gpg renderer or sdb can supply it. pattern: lp_sles
# is installed with the tools; on SLES 16 it is called kernel_livepatching. backend: snapper, so their roots have to be
# btrfs.
klp:
  product:
    regcode: INTERNAL-USE-ONLY-0123
  tools:
    pattern: lp_sles
  backup:
    backend: snapper
