"""One file a schema version, in the order in which the tables grew."""
