"""Actions on AWS, one module each, and the nouns that they share: stacks, buckets, physical resources."""
