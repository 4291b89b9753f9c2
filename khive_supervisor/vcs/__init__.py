"""Version control: git and jj as programs, and their repositories, without what these configure."""
