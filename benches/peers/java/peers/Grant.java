package peers;

import java.nio.charset.StandardCharsets;

/** One share of an asset: to whom, under which id, by which profile. In a topic a table row is `tenant id profile;…`. */
record Grant(String tenant, byte[] id, String key, int profile) {
    static Grant[] read(byte[] row) {
        int count = 1;
        for (byte b : row) {
            if (b == ';') {
                count++;
            }
        }
        Grant[] grants = new Grant[count];
        int at = 0;
        for (int n = 0; n < count; n++) {
            int blank = find(row, at, ' ');
            int second = find(row, blank + 1, ' ');
            int end = find(row, second + 1, ';');
            String key = new String(row, blank + 1, second - blank - 1, StandardCharsets.UTF_8);
            grants[n] = new Grant(
                new String(row, at, blank - at, StandardCharsets.ISO_8859_1), key.getBytes(StandardCharsets.UTF_8), key, row[end - 1] - '0');
            at = end + 1;
        }
        return grants;
    }

    static byte[] write(Grant[] grants) {
        StringBuilder row = new StringBuilder();
        for (Grant grant : grants) {
            row.append(row.length() == 0 ? "" : ";").append(grant.tenant).append(' ').append(grant.key).append(' ').append(grant.profile);
        }
        return row.toString().getBytes(StandardCharsets.UTF_8);
    }

    private static int find(byte[] row, int from, char wanted) {
        int at = from;
        while (at < row.length && row[at] != wanted) {
            at++;
        }
        return at;
    }
}
