"""What roles may spend, pure: windows of time, limits, what is set aside, and how it stands.

Amounts are whole numbers everywhere: millionths of a US dollar, or tokens. Nothing here is stored
(`sqlite.tasks.budgets` does that), and nothing asks a clock.
"""
