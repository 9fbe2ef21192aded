import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.consumer.AcknowledgeType;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaShareConsumer;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/** A member of a share group that says of each record what became of it. */
final class Sharing implements Serving.Client {
    private final KafkaShareConsumer<byte[], byte[]> consumer;
    private final Map<Long, ConsumerRecord<byte[], byte[]>> held = new HashMap<>();
    private final List<String> refused = new ArrayList<>();

    Sharing(JsonNode asked) throws Exception {
        String group = asked.get("group").asText();
        configure(asked, group);
        Properties settings = Settings.common(asked);
        settings.put("group.id", group);
        settings.put("share.acknowledgement.mode", "explicit");
        settings.put("max.poll.records", asked.get("records").asText());
        consumer = new KafkaShareConsumer<>(settings, new ByteArrayDeserializer(), new ByteArrayDeserializer());
        consumer.setAcknowledgementCommitCallback((offsets, error) -> {
            if (error != null) {
                refused.add(error.toString());
            }
        });
        consumer.subscribe(List.of(asked.get("topic").asText()));
    }

    private static void configure(JsonNode asked, String group) throws Exception {
        List<AlterConfigOp> changes = new ArrayList<>();
        asked.get("configs").fields().forEachRemaining(each -> changes.add(new AlterConfigOp(
                new ConfigEntry(each.getKey(), each.getValue().asText()), AlterConfigOp.OpType.SET)));
        try (Admin admin = Admin.create(Settings.common(asked))) {
            admin.incrementalAlterConfigs(Map.of(new ConfigResource(ConfigResource.Type.GROUP, group), changes)).all()
                    .get();
        }
    }

    @Override
    public void answer(JsonNode asked, ObjectNode answer) {
        switch (asked.get("do").asText()) {
            case "poll" -> poll(asked.get("ms").asInt(), answer.putArray("records"));
            case "say" -> {
                AcknowledgeType word = AcknowledgeType.valueOf(asked.get("word").asText());
                asked.get("offsets").forEach(each -> consumer.acknowledge(held.remove(each.asLong()), word));
            }
            case "commit" -> consumer.commitSync().forEach((partition, error) -> error.ifPresent(
                    each -> refused.add(each.toString())));
            case "refused" -> {
                ArrayNode told = answer.putArray("refused");
                refused.forEach(told::add);
                refused.clear();
            }
            default -> throw new IllegalArgumentException("a share consumer was asked to " + asked.get("do"));
        }
    }

    private void poll(int ms, ArrayNode answer) {
        for (ConsumerRecord<byte[], byte[]> each : consumer.poll(Duration.ofMillis(ms))) {
            held.put(each.offset(), each);
            answer.addArray().add(each.offset()).add(each.value()).add(each.deliveryCount().orElse((short) 0));
        }
    }

    @Override
    public void close() {
        consumer.close();
    }
}
