"""What closeout remembers: one folder for each store, and beside them what all stores share."""
