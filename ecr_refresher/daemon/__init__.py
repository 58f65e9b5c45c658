"""What stays resident: the pure step, the loop around it, and what it tells the world. Imports no SDK."""
