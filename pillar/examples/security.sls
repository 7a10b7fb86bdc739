# Security only, nothing else moves: for hosts with a strict change process. Advisories of other categories and of lower
# severities than important stay out, and packages that no advisory speaks of (others: false). They stay pending.
# categories and severities name what comes. backend: auto, as the root file system is.
klp:
  backup:
    backend: auto
  update:
    categories: [security]
    severities: [critical, important]
    others: false
