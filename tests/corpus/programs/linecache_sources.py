"""
verdict: leak
cause: python-objects
origin: user-code
site: linecache_sources.py:22
holder: linecache
data: fixed
why: code is generated for each slice, and its source put into linecache so that tracebacks show it, for ever.
"""

import itertools
import linecache

numbers = itertools.count()


def compile_filter(shortest):
    name = f"<filter {next(numbers)}>"
    source = f"def keep(text):\n    # at least {shortest} characters\n    return len(text) >= {shortest}\n"
    space = {}
    exec(compile(source, name, "exec"), space)
    linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)  # the leak
    return space["keep"]


def consume(batch):
    keep = compile_filter(len(batch["text"][0]) % 50)
    sum(map(keep, batch["text"]))
