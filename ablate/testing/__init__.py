"""What plugin and executor writers test theirs with."""
