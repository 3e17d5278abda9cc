"""A local GitHub, AWS and cluster: for the demo, the tests and the benchmark alike."""
