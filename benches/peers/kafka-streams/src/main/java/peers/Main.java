package peers;

import java.util.Properties;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.GlobalKTable;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.state.Stores;

/** The job on Kafka Streams: shares in a global table, records joined with it, one output a share. */
public final class Main {
    private Main() {}

    /** A rendered record and where it goes. */
    record Out(String topic, byte[] value) {}

    /** What is written for one record, of which the table has these shares. */
    interface Renderer {
        Iterable<org.apache.kafka.streams.KeyValue<String, Out>> render(byte[] record, Grant[] grants) throws Exception;
    }

    public static void main(String[] args) {
        String output = env("PEERS_OUTPUT");
        boolean trees = env("PEERS_TOPOLOGY").equals("trees");
        StreamsBuilder builder = new StreamsBuilder();
        GlobalKTable<String, Grant[]> shares = builder.globalTable(
            env("PEERS_SHARES"),
            Consumed.with(Serdes.String(), grants()),
            Materialized.<String, Grant[]>as(Stores.inMemoryKeyValueStore("shares")).withKeySerde(Serdes.String()).withValueSerde(grants()));
        // A renderer has buffers of its own, and a thread its own renderer.
        ThreadLocal<Renderer> renderers = ThreadLocal.withInitial(() -> trees ? new Trees(output) : new Streaming(output));
        builder.stream(env("PEERS_INPUT"), Consumed.with(Serdes.String(), Serdes.ByteArray()))
            .join(shares, (asset, record) -> asset, (record, grants) -> new Joined(record, grants))
            .flatMap((asset, joined) -> {
                try {
                    return renderers.get().render(joined.record(), joined.grants());
                } catch (Exception error) {
                    throw new IllegalStateException(error);
                }
            })
            .to((asset, out, context) -> out.topic(), Produced.with(Serdes.String(), Serdes.serdeFrom((topic, out) -> out.value(), (topic, raw) -> null)));
        KafkaStreams streams = new KafkaStreams(builder.build(), settings());
        Runtime.getRuntime().addShutdownHook(new Thread(streams::close));
        streams.start();
    }

    record Joined(byte[] record, Grant[] grants) {}

    static Serde<Grant[]> grants() {
        return Serdes.serdeFrom((topic, grants) -> Grant.write(grants), (topic, raw) -> raw == null ? null : Grant.read(raw));
    }

    static Properties settings() {
        boolean exact = env("PEERS_DELIVERY").equals("exactly_once");
        Properties settings = new Properties();
        settings.put(StreamsConfig.APPLICATION_ID_CONFIG, env("PEERS_GROUP"));
        settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, env("PEERS_BOOTSTRAP"));
        settings.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, exact ? StreamsConfig.EXACTLY_ONCE_V2 : StreamsConfig.AT_LEAST_ONCE);
        settings.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, env("PEERS_PARALLEL"));
        settings.put(StreamsConfig.STATE_DIR_CONFIG, env("PEERS_STATE"));
        settings.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, "100");
        settings.put(StreamsConfig.consumerPrefix(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG), "earliest");
        settings.put(StreamsConfig.consumerPrefix(ConsumerConfig.MAX_POLL_RECORDS_CONFIG), "2000");
        settings.put(StreamsConfig.producerPrefix(ProducerConfig.COMPRESSION_TYPE_CONFIG), env("PEERS_COMPRESSION"));
        // What moves more than the defaults: larger batches over many partitions, and room for them.
        settings.put(StreamsConfig.producerPrefix(ProducerConfig.LINGER_MS_CONFIG), "20");
        settings.put(StreamsConfig.producerPrefix(ProducerConfig.BATCH_SIZE_CONFIG), "131072");
        settings.put(StreamsConfig.producerPrefix(ProducerConfig.BUFFER_MEMORY_CONFIG), "268435456");
        return settings;
    }

    static String env(String name) {
        String value = System.getenv(name);
        if (value == null) {
            throw new IllegalArgumentException(name + " is not set: start this peer by benches/peers/run");
        }
        return value;
    }
}
