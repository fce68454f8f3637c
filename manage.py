#!/usr/bin/env python
"""Django's command line for Cirrusweb; `serve` starts before Django, because it makes the secrets settings need."""

import os
import sys

from cirrusweb.supervisor.installation import adopt
from cirrusweb.supervisor.refusal import Refusal

if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        from cirrusweb.supervisor.__main__ import main

        sys.exit(main(sys.argv[2:]))
    try:
        adopt(os.environ)
    except Refusal as refusal:
        sys.exit(str(refusal))
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cirrusweb.settings")
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line

    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as missing:
        sys.exit(f"{missing} DATA_DIR is {os.environ.get('DATA_DIR') or 'not set, so var/ was looked in'}.")
