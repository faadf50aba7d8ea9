"""Calls test functions of a device script; every target runs the scripts through this.

    micropython run.py MODULE FUNCTION...

Prints "ok FUNCTION" or the traceback and "FAIL FUNCTION"; exits with the number of failures.
"""

import sys


def main(module, *names):
    module = __import__(module)
    failures = 0
    for name in names:
        try:
            getattr(module, name)()
        except Exception as e:  # noqa: BLE001
            failures += 1
            sys.print_exception(e)
            print("FAIL", name)
        else:
            print("ok", name)
    sys.exit(failures)


main(*sys.argv[1:])
