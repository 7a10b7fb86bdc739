# The yearly change of the kernel. target: not the best one that SUSE has, but the one that was tested here. keep: after
# it was verified, only it and the kernel to fall back to stay in /boot. reboot: in a campaign of kind kernel the
# cluster moves its resources away first and then restarts the host itself. backend: auto, as the root file system is.
# Nothing of this is done by state.apply klp or klp.patch: only klp.kernel and a campaign of kind kernel read it.
klp:
  backup:
    backend: auto
  kernel:
    target: 5.14.21-150500.55.19.1
    keep: 2
    reboot: [/usr/sbin/crm, --wait, node, reboot]
