"""Fetches and stores whatever is due with N threads until it is ended: `python -m bench.back_fill 4`."""

import sys
import time

import django

if __name__ == "__main__":
    django.setup()
    from bench.work import unpaced, work

    with unpaced():
        while True:
            if not work(int(sys.argv[1])):
                time.sleep(0.2)
