import com.fasterxml.jackson.databind.JsonNode;
import java.nio.charset.StandardCharsets;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.ConsumerGroupDescription;
import org.apache.kafka.clients.admin.DescribeConfigsOptions;
import org.apache.kafka.clients.admin.GroupListing;
import org.apache.kafka.clients.admin.NewPartitionReassignment;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.ElectionType;
import org.apache.kafka.common.KafkaFuture;
import org.apache.kafka.common.Node;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;

/** The admin client: topics, configs, partitions, groups and their offsets, records, leaders, the cluster. */
final class Administration {
    private static final int PARTITIONS = 6;
    private static final int RECORDS = 600;

    private Administration() {}

    static List<String> faults(JsonNode asked) throws Exception {
        Checks cell = new Checks(asked);
        try (Admin admin = Admin.create(cell.settings)) {
            cluster(cell, admin);
            topics(cell, admin);
            configs(cell, admin);
            try (KafkaProducer<byte[], byte[]> producer = cell.producer(Map.of())) {
                for (int number = 0; number < RECORDS; number++) {
                    byte[] text = Integer.toString(number).getBytes(StandardCharsets.US_ASCII);
                    producer.send(new ProducerRecord<>(cell.topic, number % PARTITIONS, text, text));
                }
            }
            groups(cell, admin);
            records(cell, admin);
            leaders(cell, admin);
            Transacting.look(cell, admin);
            admin.deleteTopics(List.of(cell.topic)).all().get();
            cell.eventually(() -> !admin.listTopics().names().get().contains(cell.topic), "the deleted topic stays");
        }
        return cell.faults;
    }

    private static void cluster(Checks cell, Admin admin) throws Exception {
        Collection<Node> nodes = admin.describeCluster().nodes().get();
        cell.expect(nodes.size() == 3 && nodes.stream().allMatch(Node::hasRack), "the nodes are %s", nodes);
        cell.expect(admin.describeCluster().controller().get() != null, "there is no controller");
        cell.expect(!admin.describeFeatures().featureMetadata().get().supportedFeatures().isEmpty(),
                "there are no features");
        cell.expect(admin.describeMetadataQuorum().quorumInfo().get().leaderId() >= 0, "the quorum has no leader");
        List<Integer> ids = nodes.stream().map(Node::id).toList();
        cell.expect(admin.describeLogDirs(ids).allDescriptions().get().size() == 3, "a broker has no log dirs");
    }

    private static void topics(Checks cell, Admin admin) throws Exception {
        NewTopic wanted = new NewTopic(cell.topic, Optional.of(3), Optional.empty());
        admin.createTopics(List.of(wanted)).all().get();
        cell.expect(refusal(admin.createTopics(List.of(wanted)).all()).equals("TopicExistsException"),
                "the topic could be created twice");
        cell.expect(refusal(admin.describeTopics(List.of(cell.topic + "-not")).allTopicNames())
                .equals("UnknownTopicOrPartitionException"), "a topic that is not there is described");
        admin.createPartitions(Map.of(cell.topic, NewPartitions.increaseTo(PARTITIONS))).all().get();
        cell.eventually(() -> told(admin, cell.topic).partitions().size() == PARTITIONS, "there are no %d partitions",
                PARTITIONS);
        TopicDescription told = told(admin, cell.topic);
        boolean sameId = told.topicId().equals(admin.listTopics().namesToListings().get().get(cell.topic).topicId());
        cell.expect(sameId, "list and describe tell two ids of the topic");
    }

    private static TopicDescription told(Admin admin, String topic) throws Exception {
        return admin.describeTopics(List.of(topic)).topicNameValues().get(topic).get();
    }

    private static void configs(Checks cell, Admin admin) throws Exception {
        ConfigResource topic = new ConfigResource(ConfigResource.Type.TOPIC, cell.topic);
        ConfigEntry wanted = new ConfigEntry("retention.ms", "86400000");
        List<AlterConfigOp> set = List.of(new AlterConfigOp(wanted, AlterConfigOp.OpType.SET));
        admin.incrementalAlterConfigs(Map.of(topic, set)).all().get();
        cell.eventually(() -> {
            ConfigEntry now = config(admin, topic, "retention.ms");
            return now.value().equals("86400000") && now.source() == ConfigEntry.ConfigSource.DYNAMIC_TOPIC_CONFIG;
        }, "retention.ms is not set");
        ConfigEntry got = config(admin, topic, "retention.ms");
        cell.expect(got.documentation() != null && !got.documentation().isEmpty(), "retention.ms has no documentation");
        List<AlterConfigOp> delete = List.of(new AlterConfigOp(wanted, AlterConfigOp.OpType.DELETE));
        admin.incrementalAlterConfigs(Map.of(topic, delete)).all().get();
        cell.eventually(() -> config(admin, topic, "retention.ms").isDefault(), "retention.ms, deleted, is still set");
        ConfigResource broker = new ConfigResource(ConfigResource.Type.BROKER, "0");
        cell.expect(config(admin, broker, "num.partitions").value() != null, "the broker has no num.partitions");
        ConfigEntry wrong = new ConfigEntry("retention.ms", "long");
        List<AlterConfigOp> bad = List.of(new AlterConfigOp(wrong, AlterConfigOp.OpType.SET));
        String refused = refusal(admin.incrementalAlterConfigs(Map.of(topic, bad)).all());
        cell.expect(refused.equals("InvalidConfigurationException"), "retention.ms=long was answered %s", refused);
    }

    private static ConfigEntry config(Admin admin, ConfigResource of, String name) throws Exception {
        DescribeConfigsOptions all = new DescribeConfigsOptions().includeDocumentation(true).includeSynonyms(true);
        return admin.describeConfigs(List.of(of), all).all().get().get(of).get(name);
    }

    private static void groups(Checks cell, Admin admin) throws Exception {
        String group = cell.topic + "-group";
        try (KafkaConsumer<byte[], byte[]> consumer = cell.consumer(Map.of("group.id", group))) {
            consumer.subscribe(List.of(cell.topic));
            cell.read(consumer, RECORDS);
            consumer.commitSync();
            ConsumerGroupDescription told = admin.describeConsumerGroups(List.of(group)).all().get().get(group);
            boolean held = told.members().size() == 1
                    && told.members().iterator().next().assignment().topicPartitions().size() == PARTITIONS;
            cell.expect(held, "the group is told as %s", told);
            String refused = refusal(admin.deleteConsumerGroups(List.of(group)).all());
            cell.expect(refused.equals("GroupNotEmptyException"), "deleting a group that reads was answered %s", refused);
        }
        boolean listed = admin.listGroups().all().get().stream().map(GroupListing::groupId).anyMatch(group::equals);
        cell.expect(listed, "the group is not listed");
        TopicPartition first = new TopicPartition(cell.topic, 0);
        admin.alterConsumerGroupOffsets(group, Map.of(first, new OffsetAndMetadata(7))).all().get();
        long altered = admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get().get(first).offset();
        cell.expect(altered == 7, "the offset set to 7 is %d", altered);
        admin.deleteConsumerGroupOffsets(group, Set.of(first)).all().get();
        boolean kept = admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get().get(first) != null;
        cell.expect(!kept, "the deleted offset is still there");
        admin.deleteConsumerGroups(List.of(group)).all().get();
        listed = admin.listGroups().all().get().stream().map(GroupListing::groupId).anyMatch(group::equals);
        cell.expect(!listed, "the deleted group is still listed");
    }

    private static void records(Checks cell, Admin admin) throws Exception {
        TopicPartition first = new TopicPartition(cell.topic, 0);
        long end = admin.listOffsets(Map.of(first, OffsetSpec.latest())).partitionResult(first).get().offset();
        long low = admin.deleteRecords(Map.of(first, RecordsToDelete.beforeOffset(end / 2))).lowWatermarks()
                .get(first).get().lowWatermark();
        long begin = admin.listOffsets(Map.of(first, OffsetSpec.earliest())).partitionResult(first).get().offset();
        cell.expect(end > 1 && low == end / 2 && begin == low, "records before %d deleted: answered %d, begins at %d",
                end / 2, low, begin);
    }

    private static void leaders(Checks cell, Admin admin) throws Exception {
        TopicPartition first = new TopicPartition(cell.topic, 0);
        int before = leader(admin, first);
        int after = (before + 1) % 3;
        List<Integer> order = List.of(after, before, (before + 2) % 3);
        admin.alterPartitionReassignments(Map.of(first, Optional.of(new NewPartitionReassignment(order)))).all().get();
        cell.eventually(() -> admin.listPartitionReassignments(Set.of(first)).reassignments().get().isEmpty(),
                "the reassignment does not end");
        String elected = refusal(admin.electLeaders(ElectionType.PREFERRED, Set.of(first)).all());
        cell.expect(elected.equals("nothing") || elected.equals("ElectionNotNeededException"),
                "the election was answered %s", elected);
        cell.eventually(() -> leader(admin, first) == after, "broker %d does not lead", after);
    }

    private static int leader(Admin admin, TopicPartition of) throws Exception {
        Node leader = told(admin, of.topic()).partitions().get(of.partition()).leader();
        return leader == null ? -1 : leader.id();
    }

    private static String refusal(KafkaFuture<?> future) throws InterruptedException {
        try {
            future.get();
            return "nothing";
        } catch (ExecutionException error) {
            return error.getCause().getClass().getSimpleName();
        }
    }
}
