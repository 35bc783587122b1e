"""Amplitude: where its hosts are, how to send to it, and what its responses mean."""
