"""The other side of the queue in the tests: another client, which owes nothing to the library that allim uses.

  amqp.py publish URL QUEUE   publishes what stands on its input, one JSON object a line (name, body in base64,
                              content_type, headers), prints each name once the broker has confirmed it, and goes on
                              through every loss of the connection
  amqp.py count URL QUEUE     prints how many messages are ready
  amqp.py drain URL QUEUE     takes everything out and prints it, one JSON object a line
  amqp.py delete URL QUEUE
  amqp.py declare URL QUEUE ARGUMENTS-AS-JSON
"""

import base64
import json
import sys
import time

import pika


def connect(url):
    connection = pika.BlockingConnection(pika.URLParameters(url))
    channel = connection.channel()
    channel.confirm_delivery()
    return channel


def publish(url, queue):
    channel = connect(url)
    for line in sys.stdin:
        message = json.loads(line)
        properties = pika.BasicProperties(
            delivery_mode=2, content_type=message.get("content_type"), headers=message.get("headers")
        )
        body = base64.b64decode(message["body"])
        while True:
            try:
                channel.basic_publish("", queue, body, properties, mandatory=True)
                break
            except pika.exceptions.AMQPError:
                time.sleep(0.02)
                try:
                    channel = connect(url)
                except (pika.exceptions.AMQPError, OSError):
                    pass
        print(message["name"], flush=True)


def drain(url, queue):
    channel = connect(url)
    while True:
        frame, properties, body = channel.basic_get(queue)
        if frame is None:
            return
        headers = {name: str(value) for name, value in (properties.headers or {}).items()}
        print(json.dumps({"body": base64.b64encode(body).decode(), "headers": headers}), flush=True)
        channel.basic_ack(frame.delivery_tag)


mode, url, queue = sys.argv[1:4]
if mode == "publish":
    publish(url, queue)
elif mode == "count":
    print(connect(url).queue_declare(queue, passive=True).method.message_count)
elif mode == "drain":
    drain(url, queue)
elif mode == "delete":
    channel = connect(url)
    channel.queue_delete(queue)
    channel.exchange_delete(queue)
elif mode == "declare":
    connect(url).queue_declare(queue, durable=True, arguments=json.loads(sys.argv[4]))
else:
    sys.exit(__doc__)
