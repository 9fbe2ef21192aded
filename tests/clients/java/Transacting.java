import java.util.List;
import java.util.Map;
import java.util.Set;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ProducerState;
import org.apache.kafka.clients.admin.TransactionDescription;
import org.apache.kafka.clients.admin.TransactionState;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;

/** What the admin client is told of an open transaction, and how a second producer of its id ends the first. */
final class Transacting {
    private Transacting() {}

    static void look(Checks cell, Admin admin) throws Exception {
        String id = cell.topic + "-id";
        TopicPartition written = new TopicPartition(cell.topic, 0);
        Map<String, String> writing = Map.of("transactional.id", id);
        try (KafkaProducer<byte[], byte[]> first = cell.producer(writing)) {
            first.initTransactions();
            first.beginTransaction();
            first.send(new ProducerRecord<>(cell.topic, 0, null, new byte[] {1})).get();
            boolean listed = admin.listTransactions().all().get().stream()
                    .anyMatch(each -> each.transactionalId().equals(id) && each.state() == TransactionState.ONGOING);
            cell.expect(listed, "the open transaction is not listed");
            TransactionDescription told = admin.describeTransactions(List.of(id)).description(id).get();
            cell.expect(told.state() == TransactionState.ONGOING && told.topicPartitions().equals(Set.of(written)),
                    "the open transaction is told as %s", told);
            cell.expect(open(admin, written).size() == 1, "the partition tells open transactions %s",
                    open(admin, written));
            fence(cell, writing, first);
        }
        cell.eventually(() -> open(admin, written).isEmpty(), "the fenced producer's transaction stays open");
    }

    private static void fence(Checks cell, Map<String, String> writing, KafkaProducer<byte[], byte[]> first) {
        try (KafkaProducer<byte[], byte[]> second = cell.producer(writing)) {
            second.initTransactions();
            String answer = "nothing";
            try {
                first.commitTransaction();
            } catch (KafkaException error) {
                answer = error.getClass().getSimpleName();
            }
            cell.expect(answer.contains("Fenced"), "the fenced producer's commit was answered %s", answer);
        }
    }

    private static List<ProducerState> open(Admin admin, TopicPartition of) throws Exception {
        return admin.describeProducers(List.of(of)).partitionResult(of).get().activeProducers().stream()
                .filter(each -> each.currentTransactionStartOffset().isPresent()).toList();
    }
}
