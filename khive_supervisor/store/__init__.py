"""What the rest of the project may ask of a store, whatever engine is behind it: no SQL."""
