#!/usr/bin/env python3
"""Reads what others share with one tenant: its telemetry as events, its details as a table that tombstones empty.

    pip install confluent-kafka
    examples/consumer.py --bootstrap 127.0.0.1:9092 --tenant acme [--seconds 10]
"""

import argparse
import json
import time

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bootstrap", default="127.0.0.1:9092")
    parser.add_argument("--tenant", required=True)
    parser.add_argument("--group", help="default: TENANT.example; rights on Kafka are for groups whose names begin so")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="end after so long without a record")
    options = parser.parse_args()
    telemetry, details = (f"share.{options.tenant}.{stream}" for stream in ("telemetry", "details"))
    consumer = Consumer({
        "bootstrap.servers": options.bootstrap,
        "group.id": options.group or f"{options.tenant}.example",
        # Without it records of a batch that was taken back would be seen, and seen twice.
        "isolation.level": "read_committed",
        "auto.offset.reset": "earliest",
        "enable.auto.commit": False,
        # A topic is made when the first share needs it.
        "allow.auto.create.topics": False,
        "topic.metadata.refresh.interval.ms": 5000,
    })
    current = {}

    def begin(consumer, partitions):
        # The table lives in memory here, so it is read from its beginning each time, and its offsets are not committed; one in a database
        # would be committed with its offsets.
        for partition in partitions:
            if partition.topic == details:
                partition.offset = OFFSET_BEGINNING
        consumer.assign(partitions)

    consumer.subscribe([telemetry, details], on_assign=begin)
    heard = time.monotonic()
    try:
        while time.monotonic() - heard < options.seconds:
            message = consumer.poll(1.0)
            if message is None:
                continue
            if message.error():
                if message.error().code() in (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._PARTITION_EOF):
                    continue
                raise SystemExit(f"Kafka: {message.error()}")
            heard = time.monotonic()
            asset = message.key().decode()
            if message.topic() == details:
                take_details(current, asset, message.value())
            else:
                take_telemetry(asset, message.value())
                consumer.commit(message, asynchronous=True)
    except KeyboardInterrupt:
        pass
    finally:
        consumer.close()


def take_telemetry(asset, value):
    """One event. That a share has ended is seen by silence here: `share.<tenant>.shares` says when and why."""
    record = json.loads(value)
    # By which share it came; with `provenance: headers` this is in the header ce_shareid instead.
    share = record.pop("_share", {})
    print(f"event   {asset}  share {share.get('id', '-')} revision {share.get('rev', '-')}  {json.dumps(record, ensure_ascii=False)}")


def take_details(current, asset, value):
    """One row. A null value takes it away: the share has ended or is paused, or its owner has deleted the document."""
    if value is None:
        current.pop(asset, None)
        print(f"gone    {asset}  ({len(current)} left)")
        return
    document = json.loads(value)
    document.pop("_share", None)
    current[asset] = document
    print(f"current {asset}  {json.dumps(document, ensure_ascii=False)}")


if __name__ == "__main__":
    main()
