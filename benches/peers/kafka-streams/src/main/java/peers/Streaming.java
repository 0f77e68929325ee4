package peers;

import java.io.IOException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.kafka.streams.KeyValue;

/** As its best engineers would: one streaming pass for all shares of a record. */
final class Streaming implements Main.Renderer {
    private final Pass pass = new Pass();
    private final Map<String, String> topics = new HashMap<>();
    private final String output;

    Streaming(String output) {
        this.output = output;
    }

    @Override
    public Iterable<KeyValue<String, Main.Out>> render(byte[] record, Grant[] grants) throws IOException {
        pass.read(record, grants);
        List<KeyValue<String, Main.Out>> outputs = new ArrayList<>(grants.length);
        for (Grant grant : grants) {
            String topic = topics.computeIfAbsent(grant.tenant(), tenant -> output + "." + tenant + ".telemetry");
            outputs.add(KeyValue.pair(grant.key(), new Main.Out(topic, pass.write(grant))));
        }
        return outputs;
    }
}
