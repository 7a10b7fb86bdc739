"""Packages of a repository as its primary.xml has them."""

SPACES = 'xmlns="http://linux.duke.edu/metadata/common" xmlns:rpm="http://linux.duke.edu/metadata/rpm"'


def entry(name, flags="", ver="", rel=""):
    more = f' flags="{flags}" epoch="0" ver="{ver}"' + (f' rel="{rel}"' if rel else "") if flags else ""
    return f'<rpm:entry name="{name}"{more}/>'


def text(*packages):
    return f'<?xml version="1.0"?>\n<metadata {SPACES} packages="9">\n{"".join(packages)}</metadata>'
