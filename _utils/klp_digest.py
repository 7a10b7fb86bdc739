"""
The digest by which the master and its hosts know that they mean the same.
"""

import hashlib
import json


def digest(value):
    """Return the SHA-256 of a value that JSON can hold, however its keys are ordered."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
