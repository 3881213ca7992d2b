"""`make bench`: what the engine does in a second, with raw limits and peers in the same run. Parts are chosen by name; see __main__."""
