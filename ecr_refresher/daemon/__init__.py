"""What stays resident: the supervisor with its loop, the workers as it sees them, systemd, the machine and the web.

It reads no secret and imports no SDK. What a pass does lives in `job`, and reaches the daemon as JSON lines.
"""
