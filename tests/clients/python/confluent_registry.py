"""confluent-kafka's own serializers against the schema registry: register, evolve, produce, consume, references.

Arguments: the brokers, the registry's address.
"""

import sys

from confluent_kafka import Consumer, Producer
from confluent_kafka.schema_registry import Schema, SchemaReference, SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.schema_registry.error import SchemaRegistryError
from confluent_kafka.serialization import MessageField, SerializationContext

BROKERS, REGISTRY = sys.argv[1:3]
TOPIC = "orders"

FIRST = """{"type": "record", "name": "Order", "namespace": "shop",
 "fields": [{"name": "id", "type": "long"}, {"name": "what", "type": "string"}]}"""
SECOND = """{"type": "record", "name": "Order", "namespace": "shop",
 "fields": [{"name": "id", "type": "long"}, {"name": "what", "type": "string"},
            {"name": "count", "type": "int", "default": 1}]}"""
WRONG = """{"type": "record", "name": "Order", "namespace": "shop",
 "fields": [{"name": "id", "type": "string"}]}"""

registry = SchemaRegistryClient({"url": REGISTRY})
context = SerializationContext(TOPIC, MessageField.VALUE)

producer = Producer({"bootstrap.servers": BROKERS})
for schema, order in [(FIRST, {"id": 1, "what": "tea"}), (SECOND, {"id": 2, "what": "cup", "count": 3})]:
    serializer = AvroSerializer(registry, schema)
    producer.produce(TOPIC, key=b"k", value=serializer(order, context))
assert producer.flush(30) == 0

subject = TOPIC + "-value"
assert registry.get_subjects() == [subject], registry.get_subjects()
assert registry.get_versions(subject) == [1, 2]
latest = registry.get_latest_version(subject)
assert latest.version == 2, latest
fresh = SchemaRegistryClient({"url": REGISTRY})
assert fresh.lookup_schema(subject, Schema(SECOND, "AVRO")).schema_id == latest.schema_id
assert fresh.register_schema(subject, Schema(FIRST, "AVRO")) == registry.get_version(subject, 1).schema_id

try:
    fresh.register_schema(subject, Schema(WRONG, "AVRO"))
    raise AssertionError("an incompatible schema was taken")
except SchemaRegistryError as error:
    assert error.http_status_code == 409, error
assert not fresh.test_compatibility(subject, Schema(WRONG, "AVRO"))
assert fresh.test_compatibility(subject, Schema(SECOND, "AVRO"))

try:
    fresh.get_latest_version("nobody")
    raise AssertionError("a subject that is not there was found")
except SchemaRegistryError as error:
    assert error.error_code == 40401, error

consumer = Consumer({"bootstrap.servers": BROKERS, "group.id": "g", "auto.offset.reset": "earliest"})
consumer.subscribe([TOPIC])
deserializer = AvroDeserializer(SchemaRegistryClient({"url": REGISTRY}), SECOND)
orders = []
for _ in range(60):
    message = consumer.poll(1)
    if message is not None and not message.error():
        orders.append(deserializer(message.value(), context))
    if len(orders) == 2:
        break
consumer.close()
assert orders == [{"id": 1, "what": "tea", "count": 1}, {"id": 2, "what": "cup", "count": 3}], orders

unit = '{"type": "enum", "name": "shop.Unit", "symbols": ["KG", "PIECE"]}'
unit_id = fresh.register_schema("unit", Schema(unit, "AVRO"))
line = '{"type": "record", "name": "shop.Line", "fields": [{"name": "unit", "type": "shop.Unit"}]}'
reference = SchemaReference("shop.Unit", "unit", 1)
line_id = fresh.register_schema("line", Schema(line, "AVRO", [reference]))
assert line_id > unit_id
with_reference = SchemaRegistryClient({"url": REGISTRY})
back = with_reference.get_schema(line_id)
assert back.references[0].subject == "unit", back
line_context = SerializationContext("line", MessageField.VALUE)
payload = AvroSerializer(with_reference, Schema(line, "AVRO", [reference]), conf={"auto.register.schemas": True})(
    {"unit": "KG"}, line_context
)
assert AvroDeserializer(with_reference)(payload, line_context) == {"unit": "KG"}

assert fresh.set_compatibility(subject, "FULL") is not None
assert fresh.get_compatibility(subject) == "FULL"
assert fresh.delete_subject("line") == [1]
print("all good")
