"""
verdict: no-leak
data: varying
options: --format pandas
libraries: pandas
why: with_format("pandas") on texts: lengths are described, nothing is kept.
"""


def consume(frame):
    frame["text"].str.len().describe().to_dict()
