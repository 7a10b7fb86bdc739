# Rollback of a fleet to an earlier live patch, as pillar klp_campaign:level says; test=True makes and shows the plan.
klp-campaign:
  klp_campaign.rolled_back: []
