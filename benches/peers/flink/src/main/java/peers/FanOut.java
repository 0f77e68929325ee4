package peers;

import java.io.IOException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.api.java.tuple.Tuple3;
import org.apache.flink.api.java.tuple.Tuple4;
import org.apache.flink.streaming.api.functions.co.BroadcastProcessFunction;
import org.apache.flink.util.Collector;

/** One output a share. Records wait in memory until the row has come that ends the table. */
final class FanOut extends BroadcastProcessFunction<Tuple3<String, Long, byte[]>, Tuple3<String, Long, byte[]>, Tuple4<String, byte[], Long, byte[]>> {
    private final String output;
    private transient Pass pass;
    /** The rows of the broadcast state, taken apart. */
    private transient Map<String, Grant[]> shares;
    private transient Map<String, String> topics;
    private transient List<Tuple3<String, Long, byte[]>> waiting;

    FanOut(String output) {
        this.output = output;
    }

    @Override
    public void open(OpenContext context) {
        pass = new Pass();
        shares = new HashMap<>();
        topics = new HashMap<>();
        waiting = new ArrayList<>();
    }

    @Override
    public void processElement(Tuple3<String, Long, byte[]> record, ReadOnlyContext context, Collector<Tuple4<String, byte[], Long, byte[]>> out)
        throws IOException {
        if (waiting == null) {
            write(record, out);
        } else {
            waiting.add(Tuple3.of(record.f0, record.f1, record.f2));
        }
    }

    @Override
    public void processBroadcastElement(Tuple3<String, Long, byte[]> row, Context context, Collector<Tuple4<String, byte[], Long, byte[]>> out)
        throws Exception {
        context.getBroadcastState(Main.SHARES).put(row.f0, row.f2);
        if (row.f2 == null || row.f2.length == 0) {
            shares.remove(row.f0);
        } else {
            shares.put(row.f0, Grant.read(row.f2));
        }
        if (row.f0.equals("end") && waiting != null) {
            List<Tuple3<String, Long, byte[]>> held = waiting;
            waiting = null;
            for (Tuple3<String, Long, byte[]> record : held) {
                write(record, out);
            }
        }
    }

    private void write(Tuple3<String, Long, byte[]> record, Collector<Tuple4<String, byte[], Long, byte[]>> out) throws IOException {
        Grant[] grants = shares.get(record.f0);
        if (grants == null) {
            return;
        }
        pass.read(record.f2, grants);
        for (Grant grant : grants) {
            String topic = topics.computeIfAbsent(grant.tenant(), tenant -> output + "." + tenant + ".telemetry");
            out.collect(Tuple4.of(topic, grant.id(), record.f1, pass.write(grant)));
        }
    }
}
