"""Operators: what evaluates the nodes of a plan, one family in each module."""
