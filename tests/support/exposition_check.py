"""Parses expositions with prometheus_client's parsers.

Reads a case a line on standard input, {"openmetrics": bool, "body": str}, and
answers each with a line: {"families": [...]} as parsed, or {"error": str}.
Values go as text, for JSON has no NaN.
"""

import json
import sys
import traceback

from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client import parser as text


def parse(case):
    parser = openmetrics if case["openmetrics"] else text
    return [
        {
            "name": family.name,
            "kind": family.type,
            "unit": family.unit,
            "help": family.documentation,
            "samples": [
                {
                    "name": sample.name,
                    "labels": sample.labels,
                    "value": repr(float(sample.value)),
                    "timestamp": sample.timestamp is not None,
                }
                for sample in family.samples
            ],
        }
        for family in parser.text_string_to_metric_families(case["body"])
    ]


for line in sys.stdin:
    try:
        answer = {"families": parse(json.loads(line))}
    except Exception:
        answer = {"error": traceback.format_exc()}
    print(json.dumps(answer), flush=True)
