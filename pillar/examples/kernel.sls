# The yearly change of the kernel.
# target: the kernel that was tested here, not the best one of SUSE.
# keep: after its verification only the new kernel and the fallback stay in /boot.
# reboot: in a campaign of kind kernel the cluster first moves its resources away and then restarts the host itself.
# backend: auto, so the root file system decides.
# Only klp.kernel and a campaign of kind kernel read these keys; state.apply klp and klp.patch do not.
klp:
  backup:
    backend: auto
  kernel:
    target: 5.14.21-150500.55.19.1
    keep: 2
    reboot: [/usr/sbin/crm, --wait, node, reboot]
