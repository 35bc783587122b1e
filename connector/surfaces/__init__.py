"""Projections of the operations: each is a function of their tuple and says nothing of its own."""
