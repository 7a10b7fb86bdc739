# levels: one tested live patch for each kernel (by uname -r), the same in staging and in production. Write here what
# staging has tested. To promote it, give production the same file. 5.14.21-150500.55.7-default and
# 5.14.21-150500.55.19-default are two kernels of SLES 15 SP5.
# level: for kernels that are not in levels.
# backend: auto, so the root file system decides.
klp:
  level: latest
  levels:
    5.14.21-150500.55.7-default: 3-150500.2.1
    5.14.21-150500.55.19-default: 2-150500.2.1
  backup:
    backend: auto
