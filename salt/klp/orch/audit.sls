# Is every host of pillar klp_campaign:target live patched as declared? Changes nothing.
klp-audit:
  klp_campaign.audited: []
