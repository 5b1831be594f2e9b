import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/**
 * Transactional producers and a reader of committed records, driven by lines on standard input.
 *
 * <p>Each line is answered by one: the line, and "ok", a value, or the name of the exception.
 *
 * <pre>
 * new P ID TIMEOUT_MS        a producer P with a transactional id
 * init P | begin P | commit P | abort P | close P
 * send P TOPIC PARTITION VALUE
 * offsets P GROUP TOPIC PARTITION OFFSET
 * read TOPIC COUNT           values below the last stable offset, sorted by partition
 * committed GROUP TOPIC PARTITION
 * sleep MS
 * </pre>
 */
public class Transactions {
    private static final Duration PATIENCE = Duration.ofSeconds(30);
    private final String bootstrap;
    private final Map<String, KafkaProducer<String, String>> producers = new HashMap<>();

    private Transactions(String bootstrap) {
        this.bootstrap = bootstrap;
    }

    public static void main(String[] arguments) throws Exception {
        Transactions driver = new Transactions(arguments[0]);
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            String answer;
            try {
                answer = driver.run(line.split(" "));
            } catch (ExecutionException failed) {
                answer = failed.getCause().getClass().getSimpleName();
            } catch (Exception failed) {
                answer = failed.getClass().getSimpleName();
            }
            System.out.println(line + ": " + answer);
        }
        driver.producers.values().forEach(producer -> producer.close(Duration.ZERO));
    }

    private String run(String[] words) throws Exception {
        switch (words[0]) {
            case "new": {
                Properties properties = new Properties();
                properties.put("bootstrap.servers", bootstrap);
                properties.put("transactional.id", words[2]);
                properties.put("transaction.timeout.ms", words[3]);
                properties.put("max.block.ms", "30000");
                properties.put("delivery.timeout.ms", "30000");
                properties.put("request.timeout.ms", "10000");
                properties.put("linger.ms", "0");
                producers.put(words[1], new KafkaProducer<>(properties, new StringSerializer(), new StringSerializer()));
                return "ok";
            }
            case "init":
                producers.get(words[1]).initTransactions();
                return "ok";
            case "begin":
                producers.get(words[1]).beginTransaction();
                return "ok";
            case "commit":
                producers.get(words[1]).commitTransaction();
                return "ok";
            case "abort":
                producers.get(words[1]).abortTransaction();
                return "ok";
            case "close":
                producers.remove(words[1]).close(Duration.ofSeconds(5));
                return "ok";
            case "send": {
                Future<?> sent = producers.get(words[1])
                    .send(new ProducerRecord<>(words[2], Integer.parseInt(words[3]), null, words[4]));
                sent.get();
                return "ok";
            }
            case "offsets": {
                TopicPartition partition = new TopicPartition(words[3], Integer.parseInt(words[4]));
                OffsetAndMetadata offset = new OffsetAndMetadata(Long.parseLong(words[5]));
                try (KafkaConsumer<String, String> consumer = consumer(words[2])) {
                    producers.get(words[1])
                        .sendOffsetsToTransaction(Map.of(partition, offset), consumer.groupMetadata());
                }
                return "ok";
            }
            case "read":
                return read(words[1], Integer.parseInt(words[2]));
            case "committed":
                return committed(words[1], new TopicPartition(words[2], Integer.parseInt(words[3])));
            case "sleep":
                Thread.sleep(Long.parseLong(words[1]));
                return "ok";
            default:
                throw new IllegalArgumentException(words[0]);
        }
    }

    private KafkaConsumer<String, String> consumer(String group) {
        Properties properties = new Properties();
        properties.put("bootstrap.servers", bootstrap);
        properties.put("isolation.level", "read_committed");
        properties.put("enable.auto.commit", "false");
        properties.put("auto.offset.reset", "earliest");
        if (group != null) {
            properties.put("group.id", group);
        }
        return new KafkaConsumer<>(properties, new StringDeserializer(), new StringDeserializer());
    }

    private String read(String topic, int partitions) {
        try (KafkaConsumer<String, String> consumer = consumer(null)) {
            List<TopicPartition> all = new ArrayList<>();
            for (int partition = 0; partition < partitions; partition++) {
                all.add(new TopicPartition(topic, partition));
            }
            consumer.assign(all);
            consumer.seekToBeginning(all);
            Map<TopicPartition, Long> ends = consumer.endOffsets(all);
            List<String> values = new ArrayList<>();
            long until = System.nanoTime() + PATIENCE.toNanos();
            while (all.stream().anyMatch(partition -> consumer.position(partition) < ends.get(partition))) {
                if (System.nanoTime() > until) {
                    return "stuck after " + values;
                }
                consumer.poll(Duration.ofMillis(100))
                    .forEach(record -> values.add(record.partition() + "/" + record.value()));
            }
            String[] sorted = values.toArray(new String[0]);
            Arrays.sort(sorted);
            return String.join(" ", sorted);
        }
    }

    private String committed(String group, TopicPartition partition) {
        try (KafkaConsumer<String, String> consumer = consumer(group)) {
            OffsetAndMetadata offset = consumer.committed(java.util.Set.of(partition), PATIENCE).get(partition);
            return offset == null ? "none" : Long.toString(offset.offset());
        }
    }
}
