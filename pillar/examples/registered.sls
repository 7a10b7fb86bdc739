# Hosts that are registered with SUSE Customer Center themselves and lack the live patching product.
# Keep the code out of version control; Salt's gpg renderer or sdb can supply it.
klp:
  product:
    regcode: INTERNAL-USE-ONLY-0123
  tools:
    pattern: lp_sles
  backup:
    backend: snapper
