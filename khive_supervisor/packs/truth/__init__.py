"""What memories say of each other, and of code: the parts of the memory pack that look at both."""
