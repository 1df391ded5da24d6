"""The model of promise 1: whatever happens outside, every closing is acted upon once, and nothing else is touched."""
