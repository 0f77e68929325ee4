package peers;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;

/**
 * One pass of Jackson's parser over a record writes the projections of all profiles that its shares need, each into a buffer
 * that is kept; a share then costs one copy with its two ids filled in. One thread uses it.
 */
final class Pass {
    private final JsonFactory factory = new JsonFactory();
    private final Projection[] projections = new Projection[Profile.ALL.size()];
    private final Projection[] active = new Projection[Profile.ALL.size()];
    /** The tenants' ids as JSON. */
    private final Map<String, byte[]> tenants = new HashMap<>();
    /** The text of the scalar that the parser is at, in UTF-8: raw numbers, strings with quotes and escapes. */
    private byte[] scalar = new byte[256];

    Pass() {
        for (int n = 0; n < projections.length; n++) {
            projections[n] = new Projection(Profile.ALL.get(n).root);
        }
    }

    /** Goes over the record once, for all profiles of the grants. */
    void read(byte[] record, Grant[] grants) throws IOException {
        int used = 0;
        int seen = 0;
        for (Grant grant : grants) {
            if ((seen & 1 << grant.profile()) == 0) {
                seen |= 1 << grant.profile();
                active[used] = projections[grant.profile()];
                active[used++].begin();
            }
        }
        pass(record, used);
    }

    /** What one grant gets of the record that was read last. */
    byte[] write(Grant grant) {
        return projections[grant.profile()].fill(tenants.computeIfAbsent(grant.tenant(), Pass::quoted), grant.id());
    }

    private void pass(byte[] record, int used) throws IOException {
        try (JsonParser parser = factory.createParser(record)) {
            parser.nextToken();
            int depth = 0;
            while (true) {
                JsonToken token = parser.nextToken();
                if (token == JsonToken.END_OBJECT) {
                    for (int n = 0; n < used; n++) {
                        active[n].leave();
                    }
                    if (depth-- == 0) {
                        return;
                    }
                    continue;
                }
                // Names are interned by the parser: the same name is the same object.
                String name = parser.currentName();
                token = parser.nextToken();
                if (token == JsonToken.START_OBJECT) {
                    boolean wanted = false;
                    for (int n = 0; n < used; n++) {
                        wanted |= active[n].enter(name);
                    }
                    if (wanted) {
                        depth++;
                    } else {
                        parser.skipChildren();
                        for (int n = 0; n < used; n++) {
                            active[n].leave();
                        }
                    }
                    continue;
                }
                int length = -1;
                for (int n = 0; n < used; n++) {
                    if (active[n].wants(name, depth == 0)) {
                        if (length < 0) {
                            length = text(parser, token);
                        }
                        active[n].value(name, scalar, length);
                    }
                }
            }
        }
    }

    private int text(JsonParser parser, JsonToken token) throws IOException {
        char[] from = parser.getTextCharacters();
        int start = parser.getTextOffset();
        int count = parser.getTextLength();
        if (scalar.length < count * 6 + 2) {
            scalar = new byte[count * 6 + 2];
        }
        boolean quoted = token == JsonToken.VALUE_STRING;
        int to = 0;
        if (quoted) {
            scalar[to++] = '"';
        }
        for (int n = start; n < start + count; n++) {
            char c = from[n];
            if (c >= 0x80 || quoted && (c < 0x20 || c == '"' || c == '\\')) {
                return slow(new String(from, start, count));
            }
            scalar[to++] = (byte) c;
        }
        if (quoted) {
            scalar[to++] = '"';
        }
        return to;
    }

    private int slow(String text) {
        byte[] json = quoted(text);
        scalar = Arrays.copyOf(json, Math.max(json.length, scalar.length));
        return json.length;
    }

    static byte[] quoted(String text) {
        return ('"' + new String(com.fasterxml.jackson.core.io.JsonStringEncoder.getInstance().quoteAsString(text)) + '"').getBytes(StandardCharsets.UTF_8);
    }
}
