"""What campaigns cost: over simulated hosts for the master's part of it, over real minions for what a host feels."""
