"""The stand-ins of the tests: as the real services answer (`honest`), and made to fail on purpose.

Faults come by script, slowly, or by not answering at all. What the demo runs on is in `ecr_refresher.standins`.
"""
