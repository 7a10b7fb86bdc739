# A fleet that stays at one tested live patch level.
# level: a number is valid for each kernel alone. Level 3 of one kernel is a different live patch from level 3 of the
# next, with other fixes and another date. So this example is for hosts that run the same kernel. klp.available shows
# what a level is on a host. An edition (VERSION-RELEASE) names exactly one live patch.
# backend: auto, so the root file system decides.
klp:
  level: 3
  backup:
    backend: auto
