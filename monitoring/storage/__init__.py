"""How long rows are kept and where: month partitions on PostgreSQL, retention on both databases."""
