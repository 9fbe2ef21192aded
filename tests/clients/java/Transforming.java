import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Random;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.ApplicationRecoverableException;
import org.apache.kafka.common.errors.AuthorizationException;
import org.apache.kafka.common.errors.OutOfOrderSequenceException;
import org.apache.kafka.common.errors.TimeoutException;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * Consume, transform, produce, exactly once, until it is killed: what tests/eos/worker.py does, with the Java client.
 * "Transforming BOOTSTRAP NAME SEED" reads "in", writes "out", and commits its offsets in the same transaction; some
 * transactions are doomed: their records say so, reach the brokers, and are aborted.
 */
public final class Transforming {
    private static final double DOOMED_SHARE = 0.1;

    private final KafkaConsumer<byte[], byte[]> consumer;
    private final KafkaProducer<byte[], byte[]> producer;
    private final Random random;

    private Transforming(KafkaConsumer<byte[], byte[]> consumer, KafkaProducer<byte[], byte[]> producer,
            Random random) {
        this.consumer = consumer;
        this.producer = producer;
        this.random = random;
    }

    public static void main(String[] arguments) {
        Random random = new Random((arguments[1] + " " + arguments[2]).hashCode());
        while (true) {
            try (KafkaConsumer<byte[], byte[]> consumer = consumer(arguments[0]);
                    KafkaProducer<byte[], byte[]> producer = producer(arguments[0], arguments[1])) {
                new Transforming(consumer, producer, random).work();
            } catch (KafkaException failure) {
                System.err.println("starting over: " + failure);
            }
        }
    }

    private static KafkaConsumer<byte[], byte[]> consumer(String bootstrap) {
        Properties settings = new Properties();
        settings.put("bootstrap.servers", bootstrap);
        settings.put("group.id", "eos");
        settings.put("isolation.level", "read_committed");
        settings.put("enable.auto.commit", "false");
        settings.put("auto.offset.reset", "earliest");
        settings.put("session.timeout.ms", "6000");
        settings.put("heartbeat.interval.ms", "500");
        settings.put("max.poll.records", "40");
        return new KafkaConsumer<>(settings, new ByteArrayDeserializer(), new ByteArrayDeserializer());
    }

    private static KafkaProducer<byte[], byte[]> producer(String bootstrap, String name) {
        Properties settings = new Properties();
        settings.put("bootstrap.servers", bootstrap);
        settings.put("transactional.id", name);
        settings.put("transaction.timeout.ms", "20000");
        settings.put("linger.ms", "5");
        settings.put("max.block.ms", "30000");
        return new KafkaProducer<>(settings, new ByteArraySerializer(), new ByteArraySerializer());
    }

    /** Until something that only a new producer can mend; a transaction that can be aborted is, and done again. */
    private void work() {
        producer.initTransactions();
        consumer.subscribe(List.of("in"));
        while (true) {
            ConsumerRecords<byte[], byte[]> read = consumer.poll(Duration.ofMillis(200));
            if (read.isEmpty()) {
                continue;
            }
            try {
                producer.beginTransaction();
                if (random.nextDouble() < DOOMED_SHARE) {
                    transform(read, "doomed:");
                    producer.flush();
                    abort();
                } else {
                    transform(read, "done:");
                    producer.sendOffsetsToTransaction(read.nextOffsets(), consumer.groupMetadata());
                    producer.commitTransaction();
                }
            } catch (ApplicationRecoverableException | OutOfOrderSequenceException | AuthorizationException
                    | TimeoutException fatal) {
                throw fatal;
            } catch (KafkaException failure) {
                System.err.println("doing it again: " + failure);
                abort();
            }
        }
    }

    private void transform(ConsumerRecords<byte[], byte[]> read, String prefix) {
        for (ConsumerRecord<byte[], byte[]> each : read) {
            String value = prefix + new String(each.value(), StandardCharsets.UTF_8);
            producer.send(new ProducerRecord<>("out", each.partition(), null, value.getBytes(StandardCharsets.UTF_8)));
        }
    }

    /** And back to what the group has committed. */
    private void abort() {
        producer.abortTransaction();
        Map<TopicPartition, OffsetAndMetadata> committed = new HashMap<>(consumer.committed(consumer.assignment()));
        for (TopicPartition each : consumer.assignment()) {
            OffsetAndMetadata found = committed.get(each);
            consumer.seek(each, found == null ? 0 : found.offset());
        }
    }
}
