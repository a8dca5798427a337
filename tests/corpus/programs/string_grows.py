"""
verdict: leak
cause: python-objects
origin: user-code
site: string_grows.py:17
holder: report
rate: 1540
data: varying
why: a report is one string, which gets one text longer at every slice.
"""

report = ""


def consume(batch):
    global report
    report += batch["text"][0]  # the leak
