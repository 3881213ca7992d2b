"""The pure core: rules without a database, a clock, a log, a file or a network."""
