"""Rules over the identity of people, and over erasure."""
