"""kafka-python, 2.0 or newer, against one broker: admin, producer, a group, offsets by time, settings.

Usage: kafka_python.py HOST:PORT. Prints "all good" at the end; any surprise is an exception.
"""

import sys
import time

import kafka
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient, NewPartitions, NewTopic
from kafka.structs import OffsetAndMetadata

BOOTSTRAP = sys.argv[1]
OLD = kafka.__version__.startswith("2.0.")
TOPIC = "from-kafka-python"
BEGIN_MS = 1_700_000_000_000
CALL_S = 30
# Written by other hands than librdkafka's: snappy with the framing of the Java library, for example.
CODECS = (None, "gzip", "snappy", "lz4", "zstd")
PER_CODEC = 300
PER_PARTITION = PER_CODEC * len(CODECS) // 3


def until(look, holds):
    deadline = time.monotonic() + CALL_S
    while True:
        found = look()
        if holds(found):
            return found
        assert time.monotonic() < deadline, f"still {found}"
        time.sleep(0.05)


def administer(admin):
    admin.create_topics([NewTopic(TOPIC, 1, 1, topic_configs={"retention.ms": "-1"})])
    admin.create_partitions({TOPIC: NewPartitions(3)})
    until(admin.list_topics, lambda names: TOPIC in names)
    admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, TOPIC)])


def produce():
    for codec in CODECS:
        producer = KafkaProducer(bootstrap_servers=BOOTSTRAP, acks="all", compression_type=codec, linger_ms=5)
        futures = []
        for number in range(PER_CODEC):
            headers = [("n", str(number).encode()), ("n", b"")]
            futures.append(producer.send(
                TOPIC, key=b"k%d" % (number % 10), value=b"v%d" % number, headers=headers,
                timestamp_ms=BEGIN_MS + number, partition=number % 3,
            ))
        producer.flush(timeout=CALL_S)
        offsets = [future.get(timeout=CALL_S) for future in futures]
        assert all(offset.offset >= 0 and offset.topic == TOPIC for offset in offsets)
        producer.close()


def consume():
    consumer = KafkaConsumer(
        TOPIC, bootstrap_servers=BOOTSTRAP, group_id="kafka-python", auto_offset_reset="earliest",
        enable_auto_commit=False, session_timeout_ms=10_000,
    )
    records = []
    deadline = time.monotonic() + CALL_S
    while len(records) < PER_CODEC * len(CODECS):
        assert time.monotonic() < deadline, f"{len(records)} records"
        for batch in consumer.poll(timeout_ms=1000).values():
            records.extend(batch)
    values = sorted(record.value for record in records)
    assert values == sorted([b"v%d" % number for number in range(PER_CODEC)] * len(CODECS))
    for record in records:
        number = record.value[1:]
        assert list(record.headers) == [("n", number), ("n", b"")], record.headers
        assert record.timestamp == BEGIN_MS + int(number)
    consumer.commit()

    partition = TopicPartition(TOPIC, 0)
    assert consumer.committed(partition) == PER_PARTITION
    assert consumer.beginning_offsets([partition]) == {partition: 0}
    assert consumer.end_offsets([partition]) == {partition: PER_PARTITION}
    found = consumer.offsets_for_times({partition: BEGIN_MS + 31})[partition]
    assert (found.offset, found.timestamp) == (11, BEGIN_MS + 33), found
    metadata = OffsetAndMetadata(5, "by hand") if OLD else OffsetAndMetadata(5, "by hand", -1)
    consumer.commit({partition: metadata})
    assert consumer.committed(partition) == 5
    consumer.close()


def inspect(admin):
    if OLD:
        groups = [name for name, _ in admin.list_consumer_groups()]
        offsets = admin.list_consumer_group_offsets("kafka-python")
    else:
        groups = [group["group_id"] for group in admin.list_groups()]
        offsets = admin.list_group_offsets(["kafka-python"])["kafka-python"]
    assert "kafka-python" in groups, groups
    assert offsets[TopicPartition(TOPIC, 1)].offset == PER_PARTITION, offsets
    admin.delete_topics([TOPIC])
    until(admin.list_topics, lambda names: TOPIC not in names)


def main():
    admin = KafkaAdminClient(bootstrap_servers=BOOTSTRAP)
    administer(admin)
    produce()
    consume()
    inspect(admin)
    admin.close()
    print("all good")


main()
