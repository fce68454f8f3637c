"""Series read from the tables and the figures drawn from them."""
