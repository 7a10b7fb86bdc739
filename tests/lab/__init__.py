"""SLES-like hosts with a real zypper and rpm for the tests; see README.md."""
