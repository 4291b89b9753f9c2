"""The statements of released steps: never edited; a later step changes what they did."""
