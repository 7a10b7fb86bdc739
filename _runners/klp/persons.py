"""
Who did what with a campaign: made its plan, approved it, let it pause, go on or end, released its live
patch from quarantine.
"""

from __future__ import annotations

# What a person does, by the name of its entry in a journal or in the history.
DID = {
    "begin": "approved it",
    "pause": "paused it",
    "resume": "let it go on",
    "abort": "ended it",
    "release": "released its live patch",
}


def persons(plan, entries, history):
    """
    Return what persons did, oldest first: ``[{"what", "at", "by", "master", "did"}]``, plan and begin with ``hash``.

    plan
        the plan.
    entries
        of its journal.
    history
        that of the store.
    """
    made = {"what": "plan", "at": plan["created"], "by": plan.get("by"), "master": plan["master"], "hash": plan["hash"]}
    later = [item for item in history if item.get("what") == "release" and item.get("campaign") == plan["id"]]
    done = [entry for entry in [*entries, *later] if entry["what"] in DID]
    rows = [{key: entry.get(key) for key in ("what", "at", "by", "master", "hash") if key in entry} for entry in done]
    found = [dict(row, by=row.get("by"), master=row.get("master"), did=DID[row["what"]]) for row in rows]
    return sorted([dict(made, did="made the plan"), *found], key=lambda row: row["at"])
