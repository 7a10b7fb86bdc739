# Amazon EC2: a snapshot of the EBS root volume. Install aws-root-snapshot (beside this file) as
# /usr/local/sbin/aws-root-snapshot, mode 0755. Its first lines name the settings for /etc/sysconfig/root-snapshot.
# The rights come from the instance profile: no key is kept here.
# A restore is by hand: stop the host, make a volume of the snapshot, and attach it in place of the root volume.
# backend: command. salt-klp lets the program create a snapshot, verify it, and delete all but the newest three
# (keep).
klp:
  backup:
    backend: command
    create: [/usr/local/sbin/aws-root-snapshot, create]
    verify: [/usr/local/sbin/aws-root-snapshot, verify]
    delete: [/usr/local/sbin/aws-root-snapshot, delete]
    keep: 3
