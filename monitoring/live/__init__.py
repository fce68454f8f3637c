"""Levels as they happen: the hub holds the vendor's sockets, Redis carries, web processes stream to browsers."""
