"""The demonstration: a real Salt master and three lab hosts, from nothing to patched; run it with `make demo`."""
