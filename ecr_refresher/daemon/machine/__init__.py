"""The daemon's decisions: state, events and the pure step from one state to the next.

No I/O and no clock: `supervisor` feeds events in and carries actions out, `web` shows the state.
"""
