"""Verifies signed requests as receivers do: `v1` with the library of the specification, `v1a` with libsodium.

Reads a JSON list of requests from standard input and prints what was said of each: "ok", or why not.
"""

import base64
import json
import sys

from nacl.exceptions import BadSignatureError
from nacl.signing import VerifyKey
from standardwebhooks import Webhook, WebhookVerificationError


def shared(request):
    try:
        Webhook(request["secret"]).verify(request["body"], request["headers"], json_parse=False)
        return "ok"
    except WebhookVerificationError as error:
        return str(error)


def public(request):
    headers = request["headers"]
    key = VerifyKey(base64.b64decode(request["public"].removeprefix("whpk_")))
    content = ".".join([headers["webhook-id"], headers["webhook-timestamp"], request["body"]]).encode()
    for signature in headers["webhook-signature"].split(" "):
        version, value = signature.split(",")
        if version == "v1a":
            try:
                key.verify(content, base64.b64decode(value))
                return "ok"
            except (BadSignatureError, ValueError):
                continue
    return "No matching signature found"


print(json.dumps([{"v1": shared(one), "v1a": public(one)} for one in json.load(sys.stdin)]))
