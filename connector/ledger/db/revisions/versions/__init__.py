"""The revisions of the schema. A file begins with its number and never changes after a release."""
