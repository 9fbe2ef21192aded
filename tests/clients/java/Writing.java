import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Future;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/** A producer, with or without transactions. */
final class Writing implements Serving.Client {
    private final KafkaProducer<byte[], byte[]> producer;

    Writing(JsonNode asked) {
        producer = new KafkaProducer<>(Settings.producer(asked), new ByteArraySerializer(), new ByteArraySerializer());
        if (asked.hasNonNull("transactionalId")) {
            producer.initTransactions();
        }
    }

    @Override
    public void answer(JsonNode asked, ObjectNode answer) throws Exception {
        switch (asked.get("do").asText()) {
            case "send" -> send(asked.get("topic").asText(), asked.get("records"));
            case "begin" -> producer.beginTransaction();
            case "commit" -> producer.commitTransaction();
            case "abort" -> producer.abortTransaction();
            case "offsets" -> offsets(Serving.reader(asked.get("reader").asInt()).consumer);
            default -> throw new IllegalArgumentException("a producer was asked to " + asked.get("do"));
        }
    }

    private void send(String topic, JsonNode records) throws Exception {
        List<Future<RecordMetadata>> sent = new ArrayList<>();
        for (JsonNode each : records) {
            ProducerRecord<byte[], byte[]> record =
                    new ProducerRecord<>(topic, each.get(0).binaryValue(), each.get(1).binaryValue());
            for (JsonNode header : each.get(2)) {
                record.headers().add(header.get(0).asText(), header.get(1).binaryValue());
            }
            sent.add(producer.send(record));
        }
        producer.flush();
        for (Future<RecordMetadata> each : sent) {
            each.get();
        }
    }

    private void offsets(KafkaConsumer<byte[], byte[]> consumer) {
        Map<TopicPartition, OffsetAndMetadata> stands = new HashMap<>();
        for (TopicPartition each : consumer.assignment()) {
            stands.put(each, new OffsetAndMetadata(consumer.position(each)));
        }
        producer.sendOffsetsToTransaction(stands, consumer.groupMetadata());
    }

    @Override
    public void close() {
        producer.close();
    }
}
