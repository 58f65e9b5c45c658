"""The stand-ins of `ecr_refresher.standins`, made to fail on purpose: by scripted faults, slowly, or not at all.

What the demo needs lives in the package; what only tests need lives here.
"""
