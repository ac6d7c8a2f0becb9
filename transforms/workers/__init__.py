"""Worker processes that may die: what crashes, hangs or grows in one of them costs its task, and nothing else."""
