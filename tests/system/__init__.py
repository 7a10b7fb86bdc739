"""The formula on a real kernel, in a virtual machine, driven by a real master."""
