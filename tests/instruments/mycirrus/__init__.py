"""Tests of the MyCirrus client, over real sockets."""
