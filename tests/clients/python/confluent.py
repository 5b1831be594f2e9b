"""confluent-kafka against one broker: admin, producer, transactions' absence aside, a group, offsets, settings.

Usage: confluent.py HOST:PORT. Prints "all good" at the end; any surprise is an exception.
"""

import sys
import time

from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    NewTopic,
    OffsetSpec,
    ResourceType,
)

BOOTSTRAP = sys.argv[1]
TOPIC = "from-confluent"
CALL_S = 30


def results(futures):
    return {key: future.result(CALL_S) for key, future in futures.items()}


def administer(admin):
    results(admin.create_topics([NewTopic(TOPIC, 2, 1, config={"retention.ms": "3600000"})]))
    results(admin.create_partitions([NewPartitions(TOPIC, 4)]))
    description = until(lambda: described(admin), lambda topic: len(topic.partitions) == 4)
    assert description.topic_id is not None

    resource = ConfigResource(ResourceType.TOPIC, TOPIC)
    resource.add_incremental_config(
        ConfigEntry("max.message.bytes", "2000000", incremental_operation=AlterConfigOpType.SET)
    )
    results(admin.incremental_alter_configs([resource]))
    settings = until(
        lambda: results(admin.describe_configs([ConfigResource(ResourceType.TOPIC, TOPIC)])).popitem()[1],
        lambda found: found["max.message.bytes"].value == "2000000",
    )
    assert settings["retention.ms"].value == "3600000", "an incremental change leaves the others alone"
    assert settings["cleanup.policy"].value == "delete"

    cluster = admin.describe_cluster().result(CALL_S)
    assert cluster.cluster_id and len(cluster.nodes) == 1, cluster.nodes


def described(admin):
    from confluent_kafka import TopicCollection

    return results(admin.describe_topics(TopicCollection([TOPIC])))[TOPIC]


def until(look, holds):
    deadline = time.monotonic() + CALL_S
    while True:
        found = look()
        if holds(found):
            return found
        assert time.monotonic() < deadline, f"still {found}"
        time.sleep(0.05)


def produce():
    producer = Producer({"bootstrap.servers": BOOTSTRAP, "enable.idempotence": True, "compression.type": "zstd"})
    failures = []

    def delivered(error, _message):
        if error is not None:
            failures.append(error)

    for number in range(1000):
        producer.produce(
            TOPIC, key=f"k{number % 10}", value=f"v{number}", headers=[("n", str(number)), ("n", None)],
            on_delivery=delivered,
        )
        producer.poll(0)
    assert producer.flush(CALL_S) == 0
    assert not failures, failures


def consume():
    consumer = Consumer({
        "bootstrap.servers": BOOTSTRAP, "group.id": "confluent", "auto.offset.reset": "earliest",
        "enable.auto.commit": False,
    })
    consumer.subscribe([TOPIC])
    seen = set()
    deadline = time.monotonic() + CALL_S
    while len(seen) < 1000:
        assert time.monotonic() < deadline, f"{len(seen)} records"
        message = consumer.poll(1.0)
        if message is None:
            continue
        if message.error():
            raise KafkaException(message.error())
        number = message.value().decode()[1:]
        assert message.headers() == [("n", number.encode()), ("n", None)], message.headers()
        assert message.key().decode() == f"k{int(number) % 10}"
        assert number not in seen, f"{number} came twice"
        seen.add(number)
    committed = consumer.commit(asynchronous=False)
    assert sum(partition.offset for partition in committed) == 1000, committed
    consumer.close()


def inspect(admin):
    listed = admin.list_consumer_groups().result(CALL_S)
    assert "confluent" in [group.group_id for group in listed.valid], listed.valid
    group = results(admin.describe_consumer_groups(["confluent"]))["confluent"]
    assert group.group_id == "confluent" and not group.members

    offsets = results(admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions("confluent")]))["confluent"]
    assert sum(partition.offset for partition in offsets.topic_partitions) == 1000
    partitions = [TopicPartition(TOPIC, partition) for partition in range(4)]
    ends = results(admin.list_offsets({partition: OffsetSpec.latest() for partition in partitions}))
    assert sum(end.offset for end in ends.values()) == 1000

    moved = ConsumerGroupTopicPartitions("confluent", [TopicPartition(TOPIC, 0, 1)])
    results(admin.alter_consumer_group_offsets([moved]))
    offsets = results(admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions("confluent")]))["confluent"]
    assert [p.offset for p in offsets.topic_partitions if p.partition == 0] == [1]

    results(admin.delete_records([TopicPartition(TOPIC, 0, 2)]))
    begins = results(admin.list_offsets({partitions[0]: OffsetSpec.earliest()}))
    assert [begin.offset for begin in begins.values()] == [2]

    results(admin.delete_consumer_groups(["confluent"]))
    results(admin.delete_topics([TOPIC]))


def main():
    admin = AdminClient({"bootstrap.servers": BOOTSTRAP})
    administer(admin)
    produce()
    consume()
    inspect(admin)
    print("all good")


main()
