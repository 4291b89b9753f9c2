"""What memories say of the same thing, and whether it still holds: pure rules over texts."""
