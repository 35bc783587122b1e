"""The stand-in of Koji."""
