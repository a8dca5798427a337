"""
verdict: no-leak
data: numeric
options: --format pandas
libraries: pandas
fast: yes
why: with_format("pandas"): grouping and sums. The library itself loses a crumb a slice, with and without this code.
"""


def consume(frame):
    frame.groupby("label")["score"].mean().to_dict()
    frame.sort_values("score").head(3)
