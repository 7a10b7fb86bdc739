# Is every host of pillar klp_campaign:target live patched as declared? Changes nothing.
include:
  - klp.orch.sync

klp-audit:
  klp_campaign.audited:
    - require:
      - salt: klp-orch-sync
