package peers;

import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.math.RoundingMode;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.apache.kafka.streams.KeyValue;

/** As most write it: the record as a tree, of each share a tree of its own, written whole. */
final class Trees implements Main.Renderer {
    private final ObjectMapper mapper = new ObjectMapper().enable(DeserializationFeature.USE_BIG_DECIMAL_FOR_FLOATS);
    private final String output;

    Trees(String output) {
        this.output = output;
    }

    @Override
    public Iterable<KeyValue<String, Main.Out>> render(byte[] record, Grant[] grants) throws Exception {
        JsonNode tree = mapper.readTree(record);
        List<KeyValue<String, Main.Out>> outputs = new ArrayList<>();
        for (Grant grant : grants) {
            ObjectNode out = project(tree, Profile.ALL.get(grant.profile()).root, false);
            out.put("tenant", grant.tenant());
            out.put("asset", grant.key());
            outputs.add(KeyValue.pair(grant.key(), new Main.Out(output + "." + grant.tenant() + ".telemetry", mapper.writeValueAsBytes(out))));
        }
        return outputs;
    }

    private ObjectNode project(JsonNode from, Profile.Node rules, boolean selected) {
        ObjectNode out = mapper.createObjectNode();
        for (Map.Entry<String, JsonNode> member : from.properties()) {
            Profile.Node rule = rules == null ? null : rules.members.get(member.getKey());
            boolean chosen = selected || rule != null && rule.whole;
            if (rule != null && rule.excluded || rule == null && !chosen) {
                continue;
            }
            JsonNode value = member.getValue();
            if (value.isObject()) {
                ObjectNode inner = project(value, rule, chosen);
                if (chosen || !inner.isEmpty()) {
                    out.set(member.getKey(), inner);
                }
            } else if (chosen) {
                put(out, member.getKey(), value, rule);
            }
        }
        return out;
    }

    private static void put(ObjectNode out, String name, JsonNode value, Profile.Node rule) {
        if (rule != null && rule.round >= 0) {
            out.put(name, value.decimalValue().setScale(rule.round, RoundingMode.HALF_UP));
        } else if (rule != null && rule.keepLast >= 0) {
            String text = value.textValue();
            int hidden = Math.max(text.length() - rule.keepLast, 0);
            out.put(name, "*".repeat(hidden) + text.substring(hidden));
        } else {
            out.set(rule != null && rule.rename != null ? rule.rename : name, value);
        }
    }
}
