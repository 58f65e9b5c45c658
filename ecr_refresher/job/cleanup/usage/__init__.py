"""When each image was last used: the engine's events, what they mean, and the file that outlives a restart.

What is removed for it is decided by `policy`.
"""
