"""What schemathesis doesn't know by itself: how mails and posts with a head are written."""

import schemathesis
from schemathesis import SerializationContext


@schemathesis.serializer("message/rfc822", "text/markdown")
def text(ctx: SerializationContext, value):
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")
