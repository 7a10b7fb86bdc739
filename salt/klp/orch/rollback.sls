# The way back of a fleet to an earlier live patch, as pillar klp_campaign:level says; test=True makes and shows the plan.
include:
  - klp.orch.sync

klp-campaign:
  klp_campaign.rolled_back:
    - require:
      - salt: klp-orch-sync
