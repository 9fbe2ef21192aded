import java.time.Duration;
import java.util.Map;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/** Loads what every program here loads, so that the JVM can put it into an archive, and reaches for no broker. */
public final class Warming {
    private Warming() {}

    public static void main(String[] arguments) throws Exception {
        Serving.JSON.readTree("{\"a\": [1]}");
        Map<String, Object> settings = Map.of("bootstrap.servers", "127.0.0.1:1", "group.id", "none");
        Admin.create(settings).close(Duration.ZERO);
        new KafkaConsumer<>(settings, new ByteArrayDeserializer(), new ByteArrayDeserializer()).close();
        new KafkaProducer<>(settings, new ByteArraySerializer(), new ByteArraySerializer()).close(Duration.ZERO);
    }
}
