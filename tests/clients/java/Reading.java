import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.time.Duration;
import java.util.List;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/** A consumer, in a group or by itself. */
final class Reading implements Serving.Client {
    final KafkaConsumer<byte[], byte[]> consumer;

    Reading(JsonNode asked) {
        consumer = new KafkaConsumer<>(Settings.consumer(asked), new ByteArrayDeserializer(),
                new ByteArrayDeserializer());
        String topic = asked.get("topic").asText();
        if (asked.get("group").asText().isEmpty()) {
            List<TopicPartition> all = consumer.partitionsFor(topic).stream()
                    .map(each -> new TopicPartition(topic, each.partition())).toList();
            consumer.assign(all);
        } else {
            consumer.subscribe(List.of(topic));
        }
    }

    @Override
    public void answer(JsonNode asked, ObjectNode answer) {
        switch (asked.get("do").asText()) {
            case "poll" -> poll(asked.get("ms").asInt(), answer.putArray("records"));
            case "commit" -> consumer.commitSync();
            case "assigned" -> {
                ArrayNode partitions = answer.putArray("partitions");
                consumer.assignment().forEach(each -> partitions.add(each.partition()));
            }
            default -> throw new IllegalArgumentException("a consumer was asked to " + asked.get("do"));
        }
    }

    private void poll(int ms, ArrayNode answer) {
        for (ConsumerRecord<byte[], byte[]> each : consumer.poll(Duration.ofMillis(ms))) {
            ArrayNode told = answer.addArray().add(each.partition()).add(each.offset()).add(each.key());
            told.add(each.value());
            ArrayNode headers = told.addArray();
            for (Header header : each.headers()) {
                headers.addArray().add(header.key()).add(header.value());
            }
        }
    }

    @Override
    public void close() {
        consumer.close();
    }
}
