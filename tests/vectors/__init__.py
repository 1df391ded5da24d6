"""Examples that several implementations of one rule are held against."""
