"""What campaigns cost: over simulated hosts for the master's part of it, over real minions for what a host feels."""

import sys
from pathlib import Path

# The runner imports utils by name, as Salt's loader lets it.
sys.path.append(str(Path(__file__).resolve().parents[1] / "_utils"))
