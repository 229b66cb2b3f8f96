package example;

import attune.Cancellation;
import attune.Category;
import attune.Feedback;
import attune.FeedbackStatus;
import attune.Message;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.SerializationFeature;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.datatype.jsr310.JavaTimeModule;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.time.Duration;
import java.time.OffsetDateTime;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.HexFormat;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/** Reads messages and cancellations, prints what it would send, says on message.feedback what became of each. */
public final class Sender {
  private static final Duration SETTLE = Duration.ofSeconds(1); // cancellations that already lie in Kafka are read first
  private static final String PREFIX = setting("PREFIX", "");
  private static final String CHANNEL = setting("CHANNEL", "email");
  private static final String CANCELLATIONS = PREFIX + "message.cancellations";

  private static final ObjectMapper JSON = JsonMapper.builder()
      .addModule(new JavaTimeModule())
      .disable(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES) // fields are added without notice
      .disable(SerializationFeature.WRITE_DATES_AS_TIMESTAMPS)
      .build();

  private final Set<String> cancelled = new HashSet<>();
  private final Set<String> seen = new HashSet<>(); // in production: on disk, for longer than a week
  private final List<Message> waiting = new ArrayList<>();
  private OffsetDateTime newest = OffsetDateTime.MIN;
  private int answers = 0;

  public static void main(String[] arguments) throws Exception {
    new Sender().run(Integer.parseInt(setting("ANSWERS", "0")));
  }

  private void run(int wanted) throws Exception {
    String brokers = setting("BROKERS", "localhost:9092");
    Map<String, Object> reading = Map.of(
        "bootstrap.servers", brokers,
        "group.id", PREFIX + "java-sender-" + CHANNEL,
        "isolation.level", "read_committed", // the default shows what was never decided
        "auto.offset.reset", "earliest");
    Map<String, Object> writing = Map.of("bootstrap.servers", brokers); // idempotent and murmur2, by default
    try (var consumer = new KafkaConsumer<>(reading, new StringDeserializer(), new StringDeserializer());
        var producer = new KafkaProducer<>(writing, new StringSerializer(), new StringSerializer())) {
      consumer.subscribe(List.of(PREFIX + "messages." + CHANNEL, CANCELLATIONS));
      while (wanted == 0 || answers < wanted) {
        for (ConsumerRecord<String, String> record : consumer.poll(Duration.ofMillis(100))) {
          read(record);
        }
        OffsetDateTime now = OffsetDateTime.now(ZoneOffset.UTC);
        if (now.isBefore(newest.plus(SETTLE))) {
          continue;
        }
        for (Iterator<Message> due = waiting.iterator(); due.hasNext(); ) {
          Message message = due.next();
          if (!now.isBefore(message.getSendAt())) {
            due.remove();
            producer.send(new ProducerRecord<>(PREFIX + "message.feedback", message.getUserId(), deliver(message, now))).get();
            answers++;
          }
        }
      }
    }
  }

  private void read(ConsumerRecord<String, String> record) throws Exception {
    if (record.topic().equals(CANCELLATIONS)) {
      Cancellation cancellation = JSON.readValue(record.value(), Cancellation.class);
      known(cancellation.getSchemaVersion());
      cancelled.add(cancellation.getMessageId());
      return;
    }
    Message message = JSON.readValue(record.value(), Message.class);
    known(message.getSchemaVersion());
    newest = OffsetDateTime.now(ZoneOffset.UTC);
    if (seen.add(message.getIdempotencyKey())) {
      waiting.add(message);
    }
  }

  private static void known(Integer version) {
    if (version == null || version != 1) {
      throw new IllegalStateException("unknown schema_version " + version + ": upgrade this sender");
    }
  }

  private String deliver(Message message, OffsetDateTime now) throws Exception {
    if (cancelled.contains(message.getMessageId())) {
      return answer(message, FeedbackStatus.SKIPPED, now, "stale", null);
    }
    if (!now.isBefore(message.getExpiresAt())) {
      return answer(message, FeedbackStatus.SKIPPED, now, "expired", null);
    }
    if (message.getCategory() == Category.MARKETING && !message.getUnsubscribeUrl().startsWith("https://")) {
      return answer(message, FeedbackStatus.FAILED, now, null, "no_unsubscribe_url");
    }
    System.out.println(JSON.writeValueAsString(Map.of(
        "to", message.getUserId(), "subject", message.getEmailSubject(), "body", message.getBody(), "label", message.getAiLabel())));
    return answer(message, FeedbackStatus.SENT, now, null, null);
  }

  private static String answer(Message message, FeedbackStatus status, OffsetDateTime now, String abortType, String abortLog)
      throws Exception {
    byte[] digest = MessageDigest.getInstance("SHA-256")
        .digest((message.getMessageId() + ":" + status).getBytes(StandardCharsets.UTF_8));
    Feedback feedback = new Feedback();
    feedback.setEventId(HexFormat.of().formatHex(digest).substring(0, 32));
    feedback.setMessageId(message.getMessageId());
    feedback.setUserId(message.getUserId());
    feedback.setChannel(message.getChannel());
    feedback.setStatus(status);
    feedback.setTimestamp(now);
    feedback.setAbortType(abortType);
    feedback.setAbortLog(abortLog);
    return JSON.writeValueAsString(feedback);
  }

  private static String setting(String name, String otherwise) {
    return System.getenv().getOrDefault(name, otherwise);
  }
}
