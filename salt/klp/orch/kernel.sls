# Another kernel for the fleet, in waves; hosts are restarted only with pillar klp_campaign:reboot: true. With test=True the
# plan is made and shown.
klp-campaign:
  klp_campaign.kernel_changed: []
