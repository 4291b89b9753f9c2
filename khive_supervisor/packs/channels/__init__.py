"""The channels pack: who is told what happens, and what became of each message."""
