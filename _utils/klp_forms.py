"""
What a string of the pillar may look like.
"""

# What a string may look like. Nothing that begins with a dash, holds a blank, a control character or a path that
# climbs can reach a command line.
FORMS = {
    "name": r"[A-Za-z0-9][A-Za-z0-9._+-]{0,127}",
    "glob": r"[A-Za-z0-9*][A-Za-z0-9._+:*?-]{0,127}",
    "id": r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}",
    "service": r"[A-Za-z0-9][A-Za-z0-9._@:+-]{0,127}",
    "sls": r"(?!klp(?:\.|$))[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}",  # none of the formula's own
    "edition": r"[0-9][A-Za-z0-9._+~]*-[A-Za-z0-9._+~]+",
    "release": r"[A-Za-z0-9][A-Za-z0-9._+-]{0,127}=[0-9][A-Za-z0-9._+~^]*-[A-Za-z0-9._+~^]+",
    "program": r"/(?!.*(?:^|/)\.\.(?:/|$))[^\x00-\x1f\x7f]{1,1023}",
    "folder": r"(?:/(?!\.{1,2}(?:/|$))[A-Za-z0-9_.@+-]{1,255}){1,32}",
    "word": r"[^\x00-\x1f\x7f]{0,1023}",
    "backup": r"[A-Za-z0-9][A-Za-z0-9_.:/@=-]{0,255}",
    "secret": r"[^\x00-\x20\x7f]{0,255}",
}
