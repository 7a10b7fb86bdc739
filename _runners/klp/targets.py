"""
What the master knows of its minions without asking them.
"""

from __future__ import annotations

import salt.utils.data
import salt.utils.minions

from . import answers, apart


def kept_apart(opts, host, name):
    """
    Return by what a host is kept apart from others, as the master knows its grains and pillar from its last refresh.

    Returns a list of texts, ``None`` where it is not known.
    """
    _, grains, pillar = salt.utils.minions.get_minion_data(host, opts)
    source = pillar if name == apart.GROUP else grains
    if not isinstance(source, dict):
        return None
    found = salt.utils.data.traverse_dict_and_list(source, name, None)
    values = found if isinstance(found, list) else [found]
    return sorted({answers.text(value) for value in values if value is not None and value != ""})
