# A fleet that stays at one tested live patch level. A level as a number counts for each kernel of its own: level 3 of
# one kernel is another live patch, with other fixes and of another date, than level 3 of the next. So this is for hosts
# that run the same kernel; klp.available shows what a level is on a host, and an edition (VERSION-RELEASE) names one
# live patch. backend: auto, as the root file system is.
klp:
  level: 3
  backup:
    backend: auto
