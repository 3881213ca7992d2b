"""The proof harness: a simulation from one seed, a history checker, and real processes under faults; see docs/chaos.md."""
