# Security only, nothing else moves: for hosts with a strict change process.
klp:
  backup:
    backend: snapper
  update:
    categories: [security]
    severities: [critical, important]
    exclude: ["SUSE-SLE-Module-Basesystem-15-SP5-2023-3242"]
    others: false
  locks:
    extra: [oracle-database]
