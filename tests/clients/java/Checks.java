import com.fasterxml.jackson.databind.JsonNode;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/** Faults as they are found, and the clients that finding them takes. */
final class Checks {
    /** Asked again until it holds. */
    interface Question {
        boolean holds() throws Exception;
    }

    final Properties settings;
    final String topic;
    final List<String> faults = new ArrayList<>();
    private final Duration patience;

    Checks(JsonNode asked) {
        settings = Settings.common(asked);
        topic = asked.get("topic").asText();
        patience = Duration.ofMillis(asked.get("timeoutMs").asLong());
    }

    KafkaProducer<byte[], byte[]> producer(Map<String, String> more) {
        return new KafkaProducer<>(with(more), new ByteArraySerializer(), new ByteArraySerializer());
    }

    KafkaConsumer<byte[], byte[]> consumer(Map<String, String> more) {
        Properties all = with(more);
        all.put("auto.offset.reset", "earliest");
        return new KafkaConsumer<>(all, new ByteArrayDeserializer(), new ByteArrayDeserializer());
    }

    private Properties with(Map<String, String> more) {
        Properties all = new Properties();
        all.putAll(settings);
        all.putAll(more);
        return all;
    }

    void read(KafkaConsumer<byte[], byte[]> consumer, int count) {
        long deadline = System.nanoTime() + patience.toNanos();
        int got = 0;
        while (got < count && System.nanoTime() < deadline) {
            got += consumer.poll(Duration.ofMillis(500)).count();
        }
        expect(got == count, "%d records were read of %d", got, count);
    }

    void expect(boolean holds, String fault, Object... values) {
        if (!holds) {
            faults.add(String.format(fault, values));
        }
    }

    /** What one broker was told the others know a moment later. */
    void eventually(Question question, String fault, Object... values) throws Exception {
        long deadline = System.nanoTime() + patience.toNanos();
        while (!question.holds()) {
            if (System.nanoTime() > deadline) {
                faults.add(String.format(fault, values));
                return;
            }
            Thread.sleep(50);
        }
    }
}
