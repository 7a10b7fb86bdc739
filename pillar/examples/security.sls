# Security updates only, for hosts with a strict change process.
# categories and severities select what is installed. Advisories of other categories, and of lower severities than
# important, are left out. others: false leaves out packages that no advisory contains. All of these stay pending.
# backend: auto, so the root file system decides.
klp:
  backup:
    backend: auto
  update:
    categories: [security]
    severities: [critical, important]
    others: false
