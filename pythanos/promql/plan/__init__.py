"""Logical plans: nodes, how they are made from a syntax tree, and one optimizer in each module."""
