"""Actions on AWS, one module each, and the modules that they share: stacks, buckets, physical resources."""
