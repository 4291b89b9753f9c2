"""The control socket: who connects, what they may do, and the workers that serve them."""
