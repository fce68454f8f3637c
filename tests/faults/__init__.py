"""Real processes that are killed, and servers that go away: nothing may be lost or doubled."""
