"""The legs of `check`, one module for each kind of part that it tries.

They look and ask, and change nothing. How a leg is run is in `trying`; how its finding is judged, in the modules above.
"""
