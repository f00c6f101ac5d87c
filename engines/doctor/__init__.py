"""What is wrong with this machine, or slows it down, and what to do about it."""
