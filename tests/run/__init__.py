"""Starting, supervising and stopping a whole installation, with real processes."""
