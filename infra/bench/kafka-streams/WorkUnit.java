import com.fasterxml.jackson.annotation.JsonIgnoreProperties;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.ObjectReader;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.nio.ByteOrder;
import java.nio.MappedByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.HashMap;
import java.util.Map;
import java.util.Properties;
import java.util.TreeMap;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.Stores;

/**
 * The work unit of the benchmark on Kafka Streams: a processor over a persistent (RocksDB) store with cache and changelog.
 *
 * Run:   WorkUnit BROKERS TOPIC EVENTS NAME FOLDER GUARANTEE
 * Check: WorkUnit --check FILE   folds JSON lines of a file, prints `customer TAB hex of its profile` per line
 */
public class WorkUnit {
  static final double TAU_S = 3600;
  static final int MAX_RECENT = 20;
  static final ObjectReader EVENTS = new ObjectMapper().readerFor(Event.class);

  @JsonIgnoreProperties(ignoreUnknown = true)
  public static class Product {
    public String id;
  }

  @JsonIgnoreProperties(ignoreUnknown = true)
  public static class Event {
    public String customer_id;
    public String type;
    public double ts;
    public String session_id;
    public Product product;
  }

  static class Profile {
    long events;
    double lastSeen;
    String session = "";
    Map<String, Double> counts = new HashMap<>();
    ArrayDeque<String> recent = new ArrayDeque<>();
    Map<String, Integer> cart = new HashMap<>();

    void update(Event event) {
      double gap = event.ts - lastSeen;
      if (events > 0 && gap > 0) {
        double factor = Math.exp(-gap / TAU_S);
        counts.replaceAll((kind, count) -> count * factor);
      }
      events++;
      counts.merge(event.type, 1.0, Double::sum);
      lastSeen = event.ts;
      if (!event.session_id.equals(session)) {
        session = event.session_id;
        cart.clear();
      }
      if (event.product != null) {
        recent.add(event.product.id);
        if (recent.size() > MAX_RECENT) recent.poll();
        if (event.type.equals("add_to_cart")) cart.merge(event.product.id, 1, Integer::sum);
        else if (event.type.equals("remove_from_cart")) cart.remove(event.product.id);
      }
      if (event.type.equals("purchase")) cart.clear();
    }

    byte[] encode() throws IOException {
      var bytes = new ByteArrayOutputStream(512);
      var out = new DataOutputStream(bytes);
      out.writeLong(events);
      out.writeDouble(lastSeen);
      out.writeUTF(session);
      out.writeShort(counts.size());
      for (var entry : counts.entrySet()) {
        out.writeUTF(entry.getKey());
        out.writeDouble(entry.getValue());
      }
      out.writeShort(recent.size());
      for (var product : recent) out.writeUTF(product);
      out.writeShort(cart.size());
      for (var entry : cart.entrySet()) {
        out.writeUTF(entry.getKey());
        out.writeInt(entry.getValue());
      }
      return bytes.toByteArray();
    }

    static Profile decode(byte[] value) throws IOException {
      var in = new DataInputStream(new ByteArrayInputStream(value));
      var profile = new Profile();
      profile.events = in.readLong();
      profile.lastSeen = in.readDouble();
      profile.session = in.readUTF();
      for (int left = in.readShort(); left > 0; left--) profile.counts.put(in.readUTF(), in.readDouble());
      for (int left = in.readShort(); left > 0; left--) profile.recent.add(in.readUTF());
      for (int left = in.readShort(); left > 0; left--) profile.cart.put(in.readUTF(), in.readInt());
      return profile;
    }
  }

  /** The counters that the bench looks at: events whose work is done, and 1 once everything is durable. */
  static class Progress {
    private final MappedByteBuffer cells;
    private long events;

    Progress(Path path) throws IOException {
      try (var file = FileChannel.open(path, StandardOpenOption.READ, StandardOpenOption.WRITE)) {
        cells = file.map(FileChannel.MapMode.READ_WRITE, 0, 16);
        cells.order(ByteOrder.nativeOrder());
      }
    }

    void add() {
      cells.putLong(0, ++events);
    }

    long events() {
      return cells.getLong(0);
    }

    void finish() {
      cells.putLong(8, 1);
    }
  }

  static class Fold implements Processor<byte[], byte[], Void, Void> {
    private final Progress progress;
    private KeyValueStore<Bytes, byte[]> store;

    Fold(Progress progress) {
      this.progress = progress;
    }

    @Override
    public void init(ProcessorContext<Void, Void> context) {
      store = context.getStateStore("profiles");
    }

    @Override
    public void process(Record<byte[], byte[]> record) {
      try {
        var key = Bytes.wrap(record.key());
        byte[] stored = store.get(key);
        var profile = stored == null ? new Profile() : Profile.decode(stored);
        profile.update(EVENTS.readValue(record.value()));
        store.put(key, profile.encode());
      } catch (IOException error) {
        throw new RuntimeException(error);
      }
      progress.add();
    }
  }

  static void check(Path file) throws IOException {
    var profiles = new TreeMap<String, Profile>();
    for (var line : Files.readAllLines(file)) {
      Event event = EVENTS.readValue(line);
      profiles.computeIfAbsent(event.customer_id, customer -> new Profile()).update(event);
    }
    for (var entry : profiles.entrySet()) {
      var value = Profile.decode(entry.getValue().encode()).encode();
      System.out.println(entry.getKey() + "\t" + java.util.HexFormat.of().formatHex(value));
    }
  }

  public static void main(String[] arguments) throws Exception {
    if (arguments[0].equals("--check")) {
      check(Path.of(arguments[1]));
      return;
    }
    long events = Long.parseLong(arguments[2]);
    var progress = new Progress(Path.of(arguments[4], "progress"));
    var properties = new Properties();
    properties.put("bootstrap.servers", arguments[0]);
    properties.put("application.id", arguments[3]);
    properties.put("state.dir", arguments[4] + "/kafka-streams");
    properties.put("auto.offset.reset", "earliest");
    properties.put("num.stream.threads", "1");
    properties.put("statestore.cache.max.bytes", "10485760");
    properties.put("max.poll.records", "4000");
    properties.put("producer.compression.type", "lz4");
    properties.put("default.key.serde", Serdes.ByteArraySerde.class.getName());
    properties.put("default.value.serde", Serdes.ByteArraySerde.class.getName());
    if (arguments.length > 5) {
      properties.put("processing.guarantee", arguments[5]); // commits every 100 ms, its default
    } else {
      properties.put("commit.interval.ms", "1000"); // its default of 30 s would leave most to the end
      properties.put("producer.linger.ms", "50");
    }
    var topology = new Topology();
    topology.addSource("events", new ByteArrayDeserializer(), new ByteArrayDeserializer(), arguments[1]);
    topology.addProcessor("fold", () -> new Fold(progress), "events");
    var supplier = Stores.persistentKeyValueStore("profiles");
    topology.addStateStore(
        Stores.keyValueStoreBuilder(supplier, Serdes.Bytes(), Serdes.ByteArray())
            .withLoggingEnabled(Map.of())
            .withCachingEnabled(),
        "fold");
    var streams = new KafkaStreams(topology, properties);
    streams.setUncaughtExceptionHandler(
        error -> {
          error.printStackTrace();
          Runtime.getRuntime().halt(1);
          return null;
        });
    streams.start();
    while (progress.events() < events) Thread.sleep(2);
    streams.close(Duration.ofSeconds(60)); // flushes the cache, commits
    progress.finish();
  }
}
