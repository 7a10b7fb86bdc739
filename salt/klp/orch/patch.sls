# A campaign over the fleet, as pillar klp_campaign of the master says; with test=True its plan is made and shown.
klp-campaign:
  klp_campaign.patched: []
