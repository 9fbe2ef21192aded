import com.fasterxml.jackson.databind.JsonNode;
import java.util.Properties;

/** The client's settings for what remote.py calls options: Kafka's defaults, except for what was asked. */
final class Settings {
    private static final String MODULES = "org.apache.kafka.common.security.";

    private Settings() {}

    static Properties common(JsonNode asked) {
        Properties settings = new Properties();
        settings.put("bootstrap.servers", asked.get("bootstrap").asText());
        settings.put("client.id", asked.get("clientId").asText());
        String door = asked.get("door").asText();
        if (door.isEmpty()) {
            return settings;
        }
        settings.put("ssl.truststore.type", "PEM");
        settings.put("ssl.truststore.location", asked.get("ca").asText());
        if (door.equals("mTLS")) {
            settings.put("security.protocol", "SSL");
            settings.put("ssl.keystore.type", "PEM");
            settings.put("ssl.keystore.location", asked.get("certificate").asText());
            return settings;
        }
        settings.put("security.protocol", "SASL_SSL");
        settings.put("sasl.mechanism", door);
        if (door.equals("OAUTHBEARER")) {
            settings.put("sasl.login.callback.handler.class",
                    MODULES + "oauthbearer.OAuthBearerLoginCallbackHandler");
            settings.put("sasl.oauthbearer.token.endpoint.url", asked.get("tokenUrl").asText());
            settings.put("sasl.jaas.config",
                    MODULES + "oauthbearer.OAuthBearerLoginModule required clientId=\"id\" clientSecret=\"secret\";");
            return settings;
        }
        String module = door.equals("PLAIN") ? "plain.PlainLoginModule" : "scram.ScramLoginModule";
        settings.put("sasl.jaas.config", String.format("%s%s required username=\"%s\" password=\"%s\";", MODULES,
                module, asked.get("user").asText(), asked.get("password").asText()));
        return settings;
    }

    static Properties producer(JsonNode asked) {
        Properties settings = common(asked);
        settings.put("acks", "all");
        settings.put("compression.type", asked.get("codec").asText());
        settings.put("enable.idempotence", asked.get("idempotent").asText());
        if (asked.hasNonNull("transactionalId")) {
            settings.put("transactional.id", asked.get("transactionalId").asText());
        }
        if (asked.get("large").asInt() > 0) {
            settings.put("max.request.size", asked.get("large").asText());
        }
        return settings;
    }

    static Properties consumer(JsonNode asked) {
        Properties settings = common(asked);
        settings.put("auto.offset.reset", "earliest");
        settings.put("enable.auto.commit", "false");
        settings.put("isolation.level", asked.get("committedOnly").asBoolean() ? "read_committed" : "read_uncommitted");
        if (!asked.get("group").asText().isEmpty()) {
            settings.put("group.id", asked.get("group").asText());
            settings.put("group.protocol", asked.get("protocol").asText());
        }
        if (!asked.get("rack").asText().isEmpty()) {
            settings.put("client.rack", asked.get("rack").asText());
        }
        return settings;
    }
}
