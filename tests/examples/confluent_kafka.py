"""As much of `confluent_kafka` as examples/consumer.py asks for, over two files: `records` has one a line, `committed` the group's offsets."""

import json
import os
import pathlib

OFFSET_BEGINNING, OFFSET_INVALID = -2, -1001
RECORDS, COMMITTED = (pathlib.Path(os.environ["STANDIN"]) / name for name in ("records", "committed"))


class KafkaError:
    UNKNOWN_TOPIC_OR_PART, _PARTITION_EOF = 3, -191


class TopicPartition:
    def __init__(self, topic, partition, offset):
        self.topic, self.partition, self.offset = topic, partition, offset


class Message:
    def __init__(self, offset, record):
        self._offset, self._record = offset, record

    def topic(self):
        return self._record["topic"]

    def offset(self):
        return self._offset

    def key(self):
        return self._record["key"].encode()

    def value(self):
        return None if self._record["value"] is None else json.dumps(self._record["value"]).encode()

    def error(self):
        return None


class Consumer:
    """Topics have one partition each."""

    def __init__(self, settings):
        if settings["isolation.level"] != "read_committed" or settings["enable.auto.commit"]:
            raise SystemExit("it may see what was taken back, or forget what it has not seen")
        self.group, self.waiting = settings["group.id"], []
        self.committed = json.loads(COMMITTED.read_text()) if COMMITTED.exists() else {}

    def subscribe(self, topics, on_assign=None):
        # The one who subscribes hears of the offset only if it asks; what it assigns itself counts.
        partitions = [TopicPartition(topic, 0, OFFSET_INVALID) for topic in topics]
        self.assign(partitions)
        if on_assign:
            on_assign(self, partitions)

    def assign(self, partitions):
        self.waiting = []
        records = [json.loads(line) for line in RECORDS.read_text().splitlines()]
        for partition in partitions:
            own = [Message(offset, record) for offset, record in enumerate(each for each in records if each["topic"] == partition.topic)]
            begin = 0 if partition.offset == OFFSET_BEGINNING else self.committed.get(f"{self.group} {partition.topic}", 0)
            self.waiting += own[begin:]

    def poll(self, _timeout):
        return self.waiting.pop(0) if self.waiting else None

    def commit(self, message, asynchronous):
        assert asynchronous
        self.committed[f"{self.group} {message.topic()}"] = message.offset() + 1

    def close(self):
        COMMITTED.write_text(json.dumps(self.committed))
