"""
What asks for a reboot, by what libzypp itself knows of the edition that comes. Pure decisions.

Source: libzypp, zypp/target/TargetImpl.cc ("Load the needreboot package specs") and zypp/sat/SolvableSpec.cc. SUSE
ships ``/etc/zypp/needreboot`` empty since libzypp 17.27.0 (libzypp.changes): packages say it by what they provide.
"""

CAPABILITIES = ("installhint(reboot-needed)", "kernel")
NAMES = {"kernel-firmware": "known to libzypp"}
NOT_READ = (".rpmnew", ".rpmsave", ".rpmorig")  # files of the folder that libzypp leaves out
PROVIDES = "provides:"


def read(texts):
    """
    Read the files that name the packages after which libzypp asks for a reboot.

    texts
        ``{path: text}``.

    Returns ``({name: where it is named}, [capabilities])``, what libzypp knows by itself included.
    """
    names, provided = dict(NAMES), set()
    for path in sorted(texts):
        lines = [line.split("#", 1)[0].strip() for line in texts[path].splitlines()]
        provided |= {line[len(PROVIDES) :].strip() for line in lines if line.startswith(PROVIDES)}
        names.update((line, f"named in {path}") for line in lines if line and not line.startswith(PROVIDES))
    return names, [*CAPABILITIES, *sorted(provided - set(CAPABILITIES) - {""})]


def hints(names=(), capabilities=CAPABILITIES, found=()):
    """
    Return what asks for a reboot.

    names, capabilities
        as ``read`` has them.
    found
        ``[(name, edition)]`` of the packages that provide one of the capabilities.
    """
    more = ", or what the needreboot files of /etc/zypp name" if len(capabilities) > len(CAPABILITIES) else ""
    return {"names": dict(names), "editions": set(found), "how": f"provides {CAPABILITIES[0]}{more}"}


NONE = hints()


def how(known, name, edition):
    """Return how it is known that an edition of a package asks for a reboot, one clause; ``None`` where it does not."""
    if name in known["names"]:
        return known["names"][name]
    return known["how"] if (name, edition) in known["editions"] else None
