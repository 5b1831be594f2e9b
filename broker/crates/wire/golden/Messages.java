import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.HexFormat;
import java.util.NavigableMap;
import java.util.TreeMap;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.message.ApiMessageType;
import org.apache.kafka.common.protocol.ApiMessage;
import org.apache.kafka.common.protocol.ByteBufferAccessor;
import org.apache.kafka.common.protocol.MessageUtil;
import org.apache.kafka.common.protocol.types.BoundField;
import org.apache.kafka.common.protocol.types.Field;
import org.apache.kafka.common.protocol.types.Schema;
import org.apache.kafka.common.protocol.types.Struct;
import org.apache.kafka.common.protocol.types.TaggedFields;
import org.apache.kafka.common.protocol.types.Type;
import org.apache.kafka.common.record.internal.MemoryRecords;

/**
 * Prints bodies of every client-facing request and response in every version, written by Apache Kafka's own classes:
 * direction, API key, name, version, filling, bytes. "full" has two elements in outer arrays, no null and every tagged
 * field; "sparse" has empty arrays, nulls where they are allowed and no tagged field. Each value differs from the
 * others, so that two swapped fields show. README.md beside this file has the command.
 */
public final class Messages {
    private enum Filling { FULL, SPARSE }

    private final Filling filling;
    private int counter = 1;

    private Messages(Filling filling) {
        this.filling = filling;
    }

    public static void main(String[] arguments) {
        System.out.println("# Apache Kafka 4.3.1, printed by Messages.java");
        for (ApiMessageType api : ApiMessageType.values()) {
            if (!api.listeners().contains(ApiMessageType.ListenerType.BROKER)) {
                continue;
            }
            for (short version = api.lowestSupportedVersion(); version <= api.highestSupportedVersion(true); version++) {
                for (Filling filling : Filling.values()) {
                    print("request", api, version, filling, api.requestSchemas()[version], api.newRequest());
                    print("response", api, version, filling, api.responseSchemas()[version], api.newResponse());
                }
            }
        }
    }

    private static void print(
            String direction, ApiMessageType api, short version, Filling filling, Schema schema, ApiMessage message) {
        Struct struct = new Messages(filling).struct(schema, 0);
        ByteBuffer written = ByteBuffer.allocate(struct.sizeOf());
        struct.writeTo(written);
        written.flip();
        // The generated class must agree with the schema, or the line would prove nothing.
        message.read(new ByteBufferAccessor(written.duplicate()), version);
        ByteBuffer again = MessageUtil.toByteBufferAccessor(message, version).buffer();
        if (!again.equals(written)) {
            throw new IllegalStateException(direction + " " + api + " v" + version + " differs from its schema");
        }
        byte[] bytes = new byte[written.remaining()];
        written.get(bytes);
        System.out.printf("%s\t%d\t%s\t%d\t%s\t%s%n", direction, api.apiKey(), api.name, version,
                filling.name().toLowerCase(), HexFormat.of().formatHex(bytes));
    }

    private Struct struct(Schema schema, int depth) {
        Struct struct = new Struct(schema);
        for (BoundField bound : schema.fields()) {
            struct.set(bound, value(bound.def.type, depth));
        }
        return struct;
    }

    private Object value(Type type, int depth) {
        if (type instanceof TaggedFields tagged) {
            NavigableMap<Integer, Object> values = new TreeMap<>();
            if (filling == Filling.FULL) {
                for (var entry : tagged.fields().entrySet()) {
                    // A tagged field with its default value is not written, and false is the default of all.
                    boolean isFlag = entry.getValue().type == Type.BOOLEAN;
                    values.put(entry.getKey(), isFlag ? (Object) true : value(entry.getValue().type, depth + 1));
                }
            }
            return values;
        }
        if (filling == Filling.SPARSE && type.isNullable()) {
            return null;
        }
        if (type.isArray()) {
            int count = filling == Filling.SPARSE ? 0 : depth == 0 ? 2 : 1;
            Object[] elements = new Object[count];
            for (int i = 0; i < count; i++) {
                elements[i] = value(type.arrayElementType().orElseThrow(), depth + 1);
            }
            return elements;
        }
        if (type instanceof Schema schema) {
            return struct(schema, depth + 1);
        }
        return switch (type.toString()) {
            case "BOOLEAN" -> counter++ % 2 == 1;
            case "INT8" -> (byte) (counter++ % 100);
            case "INT16", "UINT16" -> type.toString().equals("INT16") ? (Object) (short) (1000 + counter++) : (Object) (1000 + counter++);
            case "INT32" -> 100_000 + counter++;
            case "UINT32" -> 3_000_000_000L + counter++;
            case "INT64" -> 10_000_000_000L + counter++;
            case "FLOAT64" -> 0.5 + counter++;
            case "UUID" -> new Uuid(0x0102_0304_0506_0708L, 0x1112_1314_1516_1700L + counter++);
            case "STRING", "NULLABLE_STRING", "COMPACT_STRING", "COMPACT_NULLABLE_STRING" -> "text-" + counter++;
            case "BYTES", "NULLABLE_BYTES", "COMPACT_BYTES", "COMPACT_NULLABLE_BYTES" -> ByteBuffer.wrap(bytes());
            case "RECORDS", "NULLABLE_RECORDS", "COMPACT_RECORDS", "COMPACT_NULLABLE_RECORDS" -> MemoryRecords.readableRecords(ByteBuffer.wrap(bytes()));
            default -> throw new IllegalStateException("no value for type " + type + " " + type.getClass());
        };
    }

    private byte[] bytes() {
        return ("bytes-" + counter++).getBytes(StandardCharsets.US_ASCII);
    }
}
