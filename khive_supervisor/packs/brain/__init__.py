"""The brain pack: profiles and feedback."""
