package peers;

import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.Properties;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.state.MapStateDescriptor;
import org.apache.flink.api.common.typeinfo.PrimitiveArrayTypeInfo;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.api.java.tuple.Tuple3;
import org.apache.flink.api.java.tuple.Tuple4;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.connector.base.DeliveryGuarantee;
import org.apache.flink.connector.kafka.sink.KafkaRecordSerializationSchema;
import org.apache.flink.connector.kafka.sink.KafkaSink;
import org.apache.flink.connector.kafka.source.KafkaSource;
import org.apache.flink.connector.kafka.source.enumerator.initializer.OffsetsInitializer;
import org.apache.flink.connector.kafka.source.reader.deserializer.KafkaRecordDeserializationSchema;
import org.apache.flink.streaming.api.datastream.BroadcastStream;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.util.Collector;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.producer.ProducerRecord;

/** The job on Flink: shares as broadcast state, one streaming pass over a record. */
public final class Main {
    /** Key, timestamp, value of what is read; topic, key, timestamp, value of what is written. */
    static final TypeInformation<Tuple3<String, Long, byte[]>> IN =
        Types.TUPLE(Types.STRING, Types.LONG, PrimitiveArrayTypeInfo.BYTE_PRIMITIVE_ARRAY_TYPE_INFO);
    static final TypeInformation<Tuple4<String, byte[], Long, byte[]>> OUT =
        Types.TUPLE(Types.STRING, PrimitiveArrayTypeInfo.BYTE_PRIMITIVE_ARRAY_TYPE_INFO, Types.LONG, PrimitiveArrayTypeInfo.BYTE_PRIMITIVE_ARRAY_TYPE_INFO);
    static final MapStateDescriptor<String, byte[]> SHARES =
        new MapStateDescriptor<>("shares", Types.STRING, PrimitiveArrayTypeInfo.BYTE_PRIMITIVE_ARRAY_TYPE_INFO);

    private Main() {}

    public static void main(String[] args) throws Exception {
        Configuration local = Configuration.fromMap(Map.of("jobmanager.bind-host", "127.0.0.1", "taskmanager.bind-host", "127.0.0.1"));
        StreamExecutionEnvironment flink = StreamExecutionEnvironment.createLocalEnvironment(Integer.parseInt(env("PEERS_PARALLEL")), local);
        flink.getConfig().enableObjectReuse();
        flink.enableCheckpointing(1000);
        DataStream<Tuple3<String, Long, byte[]>> records = flink.fromSource(source(env("PEERS_INPUT")), WatermarkStrategy.noWatermarks(), "records", IN);
        BroadcastStream<Tuple3<String, Long, byte[]>> shares =
            flink.fromSource(source(env("PEERS_SHARES")), WatermarkStrategy.noWatermarks(), "shares", IN).setParallelism(1).broadcast(SHARES);
        records.connect(shares).process(new FanOut(env("PEERS_OUTPUT"))).returns(OUT).sinkTo(sink());
        flink.execute("peers");
    }

    private static KafkaSource<Tuple3<String, Long, byte[]>> source(String topic) {
        return KafkaSource.<Tuple3<String, Long, byte[]>>builder()
            .setBootstrapServers(env("PEERS_BOOTSTRAP"))
            .setGroupId(env("PEERS_GROUP"))
            .setTopics(topic)
            .setStartingOffsets(OffsetsInitializer.earliest())
            .setDeserializer(new Reader())
            .build();
    }

    private static KafkaSink<Tuple4<String, byte[], Long, byte[]>> sink() {
        boolean exact = env("PEERS_DELIVERY").equals("exactly_once");
        Properties producer = new Properties();
        producer.put("compression.type", env("PEERS_COMPRESSION"));
        producer.put("transaction.timeout.ms", "60000");
        producer.put("linger.ms", "20");
        producer.put("batch.size", "131072");
        producer.put("buffer.memory", "268435456");
        return KafkaSink.<Tuple4<String, byte[], Long, byte[]>>builder()
            .setBootstrapServers(env("PEERS_BOOTSTRAP"))
            .setKafkaProducerConfig(producer)
            .setDeliveryGuarantee(exact ? DeliveryGuarantee.EXACTLY_ONCE : DeliveryGuarantee.AT_LEAST_ONCE)
            .setTransactionalIdPrefix(env("PEERS_GROUP"))
            .setRecordSerializer(new Writer())
            .build();
    }

    static final class Reader implements KafkaRecordDeserializationSchema<Tuple3<String, Long, byte[]>> {
        @Override
        public void deserialize(ConsumerRecord<byte[], byte[]> record, Collector<Tuple3<String, Long, byte[]>> out) {
            out.collect(Tuple3.of(new String(record.key(), StandardCharsets.UTF_8), record.timestamp(), record.value()));
        }

        @Override
        public TypeInformation<Tuple3<String, Long, byte[]>> getProducedType() {
            return IN;
        }
    }

    static final class Writer implements KafkaRecordSerializationSchema<Tuple4<String, byte[], Long, byte[]>> {
        @Override
        public ProducerRecord<byte[], byte[]> serialize(Tuple4<String, byte[], Long, byte[]> out, KafkaSinkContext context, Long timestamp) {
            return new ProducerRecord<>(out.f0, null, out.f2, out.f1, out.f3);
        }
    }

    static String env(String name) {
        String value = System.getenv(name);
        if (value == null) {
            throw new IllegalArgumentException(name + " is not set: start this peer by benches/peers/run");
        }
        return value;
    }
}
