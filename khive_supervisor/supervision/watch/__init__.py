"""What is looked at again and again: the store's file, the workers, the files below."""
