"""The benchmark: methods against each other over noise levels, and the constants they run with."""
