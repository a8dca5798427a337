"""
verdict: leak or inconclusive
cause: native-heap
why: malloc'ed blocks of a library stay, which nobody frees, beside a text of main() that is cut to 20 MB.
"""

import ctypes
import sys
import time

import datasets

libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.memset.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]


def main(path):
    dataset = datasets.load_from_disk(path)
    log = ""
    for _ in range(2):
        for start in range(0, len(dataset), 200):
            text = "".join(dataset[start : start + 200]["text"])
            log = (log + text)[-20_000_000:]
            block = libc.malloc(30_000)
            libc.memset(block, 1, 30_000)
            time.sleep(0.03)
    print(len(log))


if __name__ == "__main__":
    main(sys.argv[1])
