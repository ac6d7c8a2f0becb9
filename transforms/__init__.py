"""What happens to one clip, and to one shard. Plain functions and records."""
