"""The proof: one file of tests a source file, and scenarios that a school psychologist can read."""
