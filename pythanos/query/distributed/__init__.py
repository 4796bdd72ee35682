"""Distributed mode: queriers that evaluate parts of a query, and what is asked of them."""
