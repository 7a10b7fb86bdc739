"""The virtual machine of the lab: a real kernel that is really live-patched. README.md says what is where."""
