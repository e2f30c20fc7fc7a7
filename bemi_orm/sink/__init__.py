"""The destination: `changes`, its partitions, and the checkpoint."""
