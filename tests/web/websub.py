"""A subscriber of feeds that isn't ours: Flask-WebSub. Commands come as lines of JSON, what happens goes out as such."""

import json
import logging
import sys
import threading

import flask
import flask_websub.subscriber as library

port = int(sys.argv[1])
folder = sys.argv[2]
# The hub that is tested has no TLS before it, and the library gives no secret to such.
library.is_secure = lambda url: True
logging.getLogger("werkzeug").setLevel(logging.ERROR)
lock = threading.Lock()


def say(**what):
    with lock:
        print(json.dumps(what), flush=True)


subscriber = library.Subscriber(
    library.SQLite3SubscriberStorage(f"{folder}/long.sqlite"), library.SQLite3TempSubscriberStorage(f"{folder}/short.sqlite")
)
# The library calls listeners only for bodies whose signature is the one that its secret gives.
subscriber.add_listener(lambda topic, id, body: say(event="content", topic=topic, id=id, body=body.decode()))
subscriber.add_success_handler(lambda topic, id, mode: say(event=mode, topic=topic, id=id))
subscriber.add_error_handler(lambda topic, id, reason: say(event="denied", topic=topic, id=id, reason=reason))
app = flask.Flask("reader")
app.config["SERVER_NAME"] = f"127.0.0.1:{port}"
app.register_blueprint(subscriber.build_blueprint(url_prefix="/callbacks"))


@app.after_request
def tell(response):
    if flask.request.method == "POST":
        headers = flask.request.headers
        say(event="post", signature=headers.get("X-Hub-Signature"), link=headers.get("Link"), type=headers.get("Content-Type"))
    return response


threading.Thread(target=lambda: app.run("127.0.0.1", port, threaded=True), daemon=True).start()
for line in sys.stdin:
    command = json.loads(line)
    with app.app_context():
        try:
            if command["do"] == "subscribe":
                found = library.discover(command["url"])
                id = subscriber.subscribe(**found, lease_seconds=command["lease"])
                say(event="asked", id=id, **found)
            elif command["do"] == "renew":
                subscriber.renew(command["id"])
            elif command["do"] == "unsubscribe":
                subscriber.unsubscribe(command["id"])
        except Exception as error:
            say(event="error", reason=str(error))
