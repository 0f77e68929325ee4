"""The few requests of Kafka's protocol that the harness needs, so that measuring costs no JVM and no library."""

import socket
import struct
import threading


class KafkaError(Exception):
    """A response that names an error code."""


def _string(text):
    raw = text.encode()
    return struct.pack(">h", len(raw)) + raw


def _array(items):
    return struct.pack(">i", len(items)) + b"".join(items)


class _Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, form):
        values = struct.unpack_from(">" + form, self.data, self.at)
        self.at += struct.calcsize(">" + form)
        return values[0]

    def string(self):
        length = self.take("h")
        if length < 0:
            return None
        self.at += length
        return self.data[self.at - length:self.at].decode()

    def array(self, item):
        return [item() for _ in range(self.take("i"))]


class Cluster:
    """Connections to the brokers of one cluster, by address. One thread at a time uses it."""

    LIST_OFFSETS, METADATA, OFFSET_COMMIT, OFFSET_FETCH, FIND_COORDINATOR, CREATE, DELETE = 2, 3, 8, 9, 10, 19, 20

    def __init__(self, bootstrap):
        self.bootstrap = bootstrap
        self.seed = self._address(bootstrap.split(",")[0])
        self.sockets = {}
        self.leaders = {}
        self.lock = threading.RLock()

    @staticmethod
    def _address(text):
        host, port = text.rsplit(":", 1)
        return host, int(port)

    def _ask(self, address, api, version, body):
        with self.lock:
            if address not in self.sockets:
                self.sockets[address] = socket.create_connection(address, timeout=60)
            connection = self.sockets[address]
            header = struct.pack(">hhi", api, version, 1) + _string("peers")
            connection.sendall(struct.pack(">i", len(header) + len(body)) + header + body)
            size = struct.unpack(">i", self._exactly(connection, 4))[0]
            return _Reader(self._exactly(connection, size)[4:])

    @staticmethod
    def _exactly(connection, size):
        parts = bytearray()
        while len(parts) < size:
            part = connection.recv(size - len(parts))
            if not part:
                raise KafkaError("the broker closed the connection")
            parts += part
        return bytes(parts)

    def metadata(self, topics=None):
        """Returns the brokers by id, the controller's id, and of each topic the leader of each partition."""
        body = struct.pack(">i", -1) if topics is None else _array([_string(topic) for topic in topics])
        answer = self._ask(self.seed, self.METADATA, 1, body)
        brokers = {}

        def broker():
            number, host, port = answer.take("i"), answer.string(), answer.take("i")
            answer.string()
            brokers[number] = (host, port)

        answer.array(broker)
        controller = answer.take("i")
        found = {}

        def partition():
            answer.take("h")
            number, leader = answer.take("i"), answer.take("i")
            answer.array(lambda: answer.take("i"))
            answer.array(lambda: answer.take("i"))
            return number, leader

        def topic():
            error, name = answer.take("h"), answer.string()
            answer.take("b")
            partitions = answer.array(partition)
            if error == 0:
                found[name] = dict(partitions)

        answer.array(topic)
        return brokers, controller, found

    def end_offsets(self, topics):
        """The offset after the last record of each (topic, partition), for readers of committed records."""
        key = tuple(topics)
        if key not in self.leaders:
            brokers, _, found = self.metadata(topics)
            missing = [topic for topic in topics if topic not in found]
            if missing:
                raise KafkaError(f"there is no topic {missing[0]}")
            by_leader = {}
            for topic, partitions in found.items():
                for partition, leader in partitions.items():
                    by_leader.setdefault(brokers[leader], {}).setdefault(topic, []).append(partition)
            self.leaders[key] = by_leader
        ends = {}
        for address, wanted in self.leaders[key].items():
            body = struct.pack(">ib", -1, 1) + _array([
                _string(topic) + _array([struct.pack(">iq", partition, -1) for partition in partitions])
                for topic, partitions in wanted.items()
            ])
            answer = self._ask(address, self.LIST_OFFSETS, 2, body)
            answer.take("i")

            def partition(name):
                number, error = answer.take("i"), answer.take("h")
                answer.take("q")
                offset = answer.take("q")
                if error:
                    self.leaders.pop(key, None)
                    raise KafkaError(f"the end of {name}/{number}: error {error}")
                ends[name, number] = offset

            def topic():
                name = answer.string()
                answer.array(lambda: partition(name))

            answer.array(topic)
        return ends

    def create_topics(self, names, partitions, replication=1, config=None):
        """Creates them and waits until each has its leaders."""
        config = config or {}
        for start in range(0, len(names), 100):
            part = names[start:start + 100]
            body = _array([
                _string(name) + struct.pack(">ih", partitions, replication) + struct.pack(">i", 0)
                + _array([_string(key) + _string(value) for key, value in config.items()])
                for name in part
            ]) + struct.pack(">ib", 60_000, 0)
            self._each_without_error(self.CREATE, 2, body, "create", {0, 36}, with_message=True)
        self._await(lambda found: all(len(found.get(name, {})) == partitions and -1 not in found[name].values() for name in names), names)

    def delete_topics(self, names):
        """Deletes them; those that are not there are fine."""
        for start in range(0, len(names), 100):
            body = _array([_string(name) for name in names[start:start + 100]]) + struct.pack(">i", 60_000)
            self._each_without_error(self.DELETE, 1, body, "delete", {0, 3}, with_message=False)
        self.leaders.clear()

    def _each_without_error(self, api, version, body, what, fine, with_message):
        brokers, controller, _ = self.metadata([])
        answer = self._ask(brokers[controller], api, version, body)
        answer.take("i")

        def topic():
            name, error = answer.string(), answer.take("h")
            message = answer.string() if with_message else None
            if error not in fine:
                raise KafkaError(f"{what} {name}: error {error} {message or ''}")

        answer.array(topic)

    def _await(self, is_there, names):
        pause = threading.Event()
        for _ in range(600):
            if is_there(self.metadata(names)[2]):
                return
            pause.wait(0.05)
        raise KafkaError(f"no leaders after 30 s: {names[:3]} ...")

    def _coordinator(self, group):
        pause = threading.Event()
        for _ in range(200):
            answer = self._ask(self.seed, self.FIND_COORDINATOR, 1, _string(group) + struct.pack(">b", 0))
            answer.take("i")
            error = answer.take("h")
            answer.string()
            answer.take("i")
            host, port = answer.string(), answer.take("i")
            if error == 0:
                return host, port
            pause.wait(0.1)
        raise KafkaError(f"no coordinator of {group}: error {error}")

    def committed(self, group, topic, partitions):
        """What the group has committed of a topic, by partition; 0 where nothing is."""
        body = _string(group) + _array([_string(topic) + _array([struct.pack(">i", number) for number in range(partitions)])])
        answer = self._ask(self._coordinator(group), self.OFFSET_FETCH, 1, body)
        offsets = {}

        def partition():
            number, offset = answer.take("i"), answer.take("q")
            answer.string()
            answer.take("h")
            offsets[number] = max(offset, 0)

        def of_topic():
            answer.string()
            answer.array(partition)

        answer.array(of_topic)
        return offsets

    def commit(self, group, topic, offsets):
        """Sets the offsets of a group that has no members."""
        body = _string(group) + struct.pack(">i", -1) + _string("") + struct.pack(">q", -1) + _array([
            _string(topic) + _array([struct.pack(">iqh", number, offset, -1) for number, offset in offsets.items()])
        ])
        answer = self._ask(self._coordinator(group), self.OFFSET_COMMIT, 2, body)

        def partition():
            number, error = answer.take("i"), answer.take("h")
            if error:
                raise KafkaError(f"commit {group} {topic}/{number}: error {error}")

        def of_topic():
            answer.string()
            answer.array(partition)

        answer.array(of_topic)
