"""Who is told what: which events go where, in which words, when again, and when not. Pure."""
