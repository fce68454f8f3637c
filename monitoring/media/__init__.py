"""Sound and time histories of events: fetched from MyCirrus when somebody first asks, kept on disk for a while."""
