"""The benchmark: a study of methods, noises and levels, and its report."""
