"""
verdict: leak
cause: anonymous-other
command: -- perl -e 'for (1..900) {{ push @kept, ("x" x 200) . $_ for 1..600; select(undef, undef, undef, 0.01) }}'
why: another interpreter that keeps what it makes, judged from outside by its pages.
"""
