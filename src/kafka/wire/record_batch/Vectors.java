// Writes vectors.txt: batches as Kafka's own builder makes them.
//   java -cp "$(scripts/kafka fetch)/*" src/kafka/wire/record_batch/Vectors.java > src/kafka/wire/record_batch/vectors.txt
// A line: name|producer id|epoch|sequence|records|batch in hexadecimal. A record: key,value,timestamp,name=value,...; bytes are `-` for
// null, or so many of them (the n-th is n modulo 251).

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.record.internal.MemoryRecordsBuilder;
import org.apache.kafka.common.record.internal.RecordBatch;
import org.apache.kafka.common.record.TimestampType;

public class Vectors {
    public static void main(String[] arguments) {
        long now = 1_700_000_000_000L;
        line("one", 7, 3, 0, "3,5," + now);
        line("null-key", 7, 3, 0, "-,5," + now);
        line("tombstone", 7, 3, 0, "3,-," + now);
        line("nothing", 7, 3, 0, "-,-," + now);
        line("empty-not-null", 7, 3, 0, "0,0," + now);
        for (int size : new int[] {1, 62, 63, 64, 127, 128, 8191, 8192, 16383, 16384}) {
            line("value-" + size, 9, 0, 17, "1," + size + "," + now);
            line("key-" + size, 9, 0, 17, size + ",1," + now);
        }
        line("headers", 1L << 40, 32766, 5, "3,5," + now + ",a=1,a=0,naïve=200");
        line("empty-name", 1, 0, 0, "3,5," + now + ",=4");
        for (long delta : new long[] {1, -1, 63, 64, -64, -65, 1L << 31, -(1L << 31), 1L << 32, 1L << 40, -(1L << 40)}) {
            line("delta" + delta, 1, 1, 1, "1,1," + now + ";1,1," + (now + delta) + ";1,1," + (now - 1));
        }
        line("before-1970", 1, 1, 1, "1,1,1;1,1,0;1,1," + now);
        line("sequence-near-wrap", 1, 1, Integer.MAX_VALUE - 1, "1,1," + now + ";2,2," + now + ";3,3," + now);
        line("largest-sequence", 1, 1, Integer.MAX_VALUE, "1,1," + now);
        StringBuilder many = new StringBuilder();
        for (int at = 0; at < 1000; at++) {
            many.append(at == 0 ? "" : ";").append(at % 7).append(',').append(at % 11).append(',').append(now + at * 37 % 1000);
        }
        line("thousand", 1, 1, 0, many.toString());
    }

    static void line(String name, long producer, int epoch, int sequence, String records) {
        ByteBuffer buffer = ByteBuffer.allocate(1 << 20);
        MemoryRecordsBuilder builder = new MemoryRecordsBuilder(buffer, RecordBatch.MAGIC_VALUE_V2, Compression.NONE, TimestampType.CREATE_TIME,
            0, RecordBatch.NO_TIMESTAMP, producer, (short) epoch, sequence, true, false, RecordBatch.NO_PARTITION_LEADER_EPOCH, 1 << 20);
        for (String record : records.split(";")) {
            String[] parts = record.split(",");
            List<Header> headers = new ArrayList<>();
            for (int at = 3; at < parts.length; at++) {
                int split = parts[at].indexOf('=');
                headers.add(new RecordHeader(parts[at].substring(0, split), bytes(parts[at].substring(split + 1))));
            }
            builder.append(Long.parseLong(parts[2]), bytes(parts[0]), bytes(parts[1]), headers.toArray(new Header[0]));
        }
        ByteBuffer made = builder.build().buffer();
        byte[] batch = new byte[made.remaining()];
        made.get(batch);
        byte[] text = String.join("|", name, "" + producer, "" + epoch, "" + sequence, records, HexFormat.of().formatHex(batch))
            .getBytes(StandardCharsets.UTF_8);
        System.out.write(text, 0, text.length);
        System.out.println();
    }

    static byte[] bytes(String length) {
        if (length.equals("-")) {
            return null;
        }
        byte[] bytes = new byte[Integer.parseInt(length)];
        for (int at = 0; at < bytes.length; at++) {
            bytes[at] = (byte) (at % 251);
        }
        return bytes;
    }
}
