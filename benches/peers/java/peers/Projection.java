package peers;

import java.math.BigDecimal;
import java.math.RoundingMode;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.IdentityHashMap;
import java.util.Map;

/** One profile's view of the record that the parser goes over: bytes so far, and where the two ids go. */
final class Projection {
    private static final int DEEPEST = 130;

    private final Profile.Node root;
    /** The names with their quotes and colon, ready to copy. */
    private final Map<String, byte[]> names = new IdentityHashMap<>();
    private final Profile.Node[] nodes = new Profile.Node[DEEPEST];
    private final boolean[] selected = new boolean[DEEPEST];
    private final boolean[] isEmpty = new boolean[DEEPEST];
    /** Where the object began, to take it back if nothing is in it; -1 where it is left out. */
    private final int[] began = new int[DEEPEST];
    private int depth;
    private byte[] out = new byte[1024];
    private int length;
    private int tenantAt;
    private int assetAt;
    private Profile.Node rule;
    private boolean isTenant;
    private boolean isAsset;

    Projection(Profile.Node root) {
        this.root = root;
    }

    void begin() {
        depth = 0;
        length = 0;
        tenantAt = -1;
        assetAt = -1;
        nodes[0] = root;
        selected[0] = false;
        isEmpty[0] = true;
        began[0] = 0;
        out[length++] = '{';
    }

    /** Goes into an object; returns whether anything in it may leave. */
    boolean enter(String name) {
        Profile.Node parent = nodes[depth];
        boolean inside = began[depth] >= 0;
        Profile.Node here = parent == null ? null : parent.members.get(name);
        boolean chosen = selected[depth] || here != null && here.whole;
        boolean leaves = inside && (chosen || here != null) && !(here != null && here.excluded);
        int mark = length;
        if (leaves) {
            name(here != null && here.rename != null ? here.rename : name);
            put((byte) '{');
        }
        depth++;
        nodes[depth] = here;
        selected[depth] = chosen;
        isEmpty[depth] = true;
        began[depth] = leaves ? mark : -1;
        return leaves;
    }

    void leave() {
        if (began[depth] >= 0) {
            if (isEmpty[depth] && !selected[depth] && depth > 0) {
                length = began[depth];
            } else {
                put((byte) '}');
                if (depth > 0) {
                    isEmpty[depth - 1] = false;
                }
            }
        }
        depth--;
    }

    boolean wants(String name, boolean isTop) {
        if (began[depth] < 0) {
            return false;
        }
        isTenant = isTop && name.equals("tenant");
        isAsset = isTop && name.equals("asset");
        rule = nodes[depth] == null ? null : nodes[depth].members.get(name);
        return isTenant || isAsset || (selected[depth] || rule != null && rule.whole) && !(rule != null && rule.excluded);
    }

    void value(String name, byte[] scalar, int count) {
        name(rule != null && rule.rename != null ? rule.rename : name);
        isEmpty[depth] = false;
        if (isTenant) {
            tenantAt = length;
        } else if (isAsset) {
            assetAt = length;
        } else if (rule != null && rule.round >= 0) {
            round(scalar, count);
        } else if (rule != null && rule.keepLast >= 0) {
            mask(scalar, count);
        } else {
            put(scalar, count);
        }
    }

    private void round(byte[] scalar, int count) {
        char[] digits = new char[count];
        for (int n = 0; n < count; n++) {
            digits[n] = (char) scalar[n];
        }
        BigDecimal rounded = new BigDecimal(digits, 0, count).setScale(rule.round, RoundingMode.HALF_UP).stripTrailingZeros();
        byte[] text = rounded.toPlainString().getBytes(StandardCharsets.ISO_8859_1);
        put(text, text.length);
    }

    /** Of ASCII without escapes, which the serials of the job are. */
    private void mask(byte[] scalar, int count) {
        put((byte) '"');
        int hidden = Math.max(count - 2 - rule.keepLast, 0);
        for (int n = 0; n < hidden; n++) {
            put((byte) '*');
        }
        room(count);
        System.arraycopy(scalar, 1 + hidden, out, length, count - 1 - hidden);
        length += count - 1 - hidden;
    }

    /** The record for one target. */
    byte[] fill(byte[] tenantJson, byte[] id) {
        byte[] filled = new byte[length + tenantJson.length + id.length + 2];
        int first = Math.min(tenantAt, assetAt);
        int second = Math.max(tenantAt, assetAt);
        System.arraycopy(out, 0, filled, 0, first);
        int at = id(filled, first, first == tenantAt, tenantJson, id);
        System.arraycopy(out, first, filled, at, second - first);
        at = id(filled, at + second - first, second == tenantAt, tenantJson, id);
        System.arraycopy(out, second, filled, at, length - second);
        return filled;
    }

    private static int id(byte[] filled, int at, boolean isTenant, byte[] tenantJson, byte[] id) {
        if (isTenant) {
            System.arraycopy(tenantJson, 0, filled, at, tenantJson.length);
            return at + tenantJson.length;
        }
        filled[at] = '"';
        System.arraycopy(id, 0, filled, at + 1, id.length);
        filled[at + 1 + id.length] = '"';
        return at + id.length + 2;
    }

    private void name(String name) {
        if (!isEmpty[depth]) {
            put((byte) ',');
        }
        byte[] ready = names.get(name);
        if (ready == null) {
            byte[] json = Pass.quoted(name);
            ready = Arrays.copyOf(json, json.length + 1);
            ready[json.length] = ':';
            names.put(name, ready);
        }
        put(ready, ready.length);
    }

    private void put(byte b) {
        room(1);
        out[length++] = b;
    }

    private void put(byte[] from, int count) {
        room(count);
        System.arraycopy(from, 0, out, length, count);
        length += count;
    }

    private void room(int count) {
        if (out.length < length + count) {
            out = Arrays.copyOf(out, 2 * (length + count));
        }
    }
}
