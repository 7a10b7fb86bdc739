# One tested live patch for each kernel (`levels`, by uname -r), the same in staging and in production: what staging has
# tried is written here, and promoted by giving production the same file. A kernel that is not named has the `level`
# below. 5.14.21-150500.55.7-default and 5.14.21-150500.55.19-default are two kernels of SLES 15 SP5. backend: auto, as
# the root file system is.
klp:
  level: latest
  levels:
    5.14.21-150500.55.7-default: 3-150500.2.1
    5.14.21-150500.55.19-default: 2-150500.2.1
  backup:
    backend: auto
