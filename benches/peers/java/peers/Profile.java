package peers;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** A profile as a tree of names. The three are those of `harness/job.py`, in its order. */
final class Profile {
    /** What becomes of the members of an object, by name; a name that is not there is left out unless the object is whole. */
    static final class Node {
        final Map<String, Node> members = new HashMap<>();
        /** All of it leaves. */
        boolean whole;
        /** None of it leaves. */
        boolean excluded;
        int round = -1;
        int keepLast = -1;
        String rename;

        Node at(String path) {
            Node node = this;
            for (String name : path.split("\\.")) {
                node = node.members.computeIfAbsent(name, unused -> new Node());
            }
            return node;
        }
    }

    final Node root = new Node();

    static final List<Profile> ALL = all();

    private Profile(List<String> include, List<String> exclude, String masked, int round, String renamed, String name) {
        include.forEach(path -> root.at(path).whole = true);
        exclude.forEach(path -> root.at(path).excluded = true);
        root.at("ts").whole = true;
        root.at(masked).keepLast = 4;
        root.at("Location.Latitude").round = round;
        root.at("Location.Longitude").round = round;
        root.at(renamed).rename = name;
    }

    private static List<Profile> all() {
        List<Profile> all = new ArrayList<>();
        all.add(new Profile(
            List.of("EquipmentHeader.OEMName", "EquipmentHeader.Model", "EquipmentHeader.SerialNumber", "Location", "CumulativeOperatingHours", "FuelUsed"),
            List.of("Location.Altitude"), "EquipmentHeader.SerialNumber", 4, "CumulativeOperatingHours.Hour", "hours"));
        all.add(new Profile(
            List.of("EquipmentHeader", "Location", "CumulativeOperatingHours", "FuelUsed", "Distance", "Sensors"),
            List.of(), "EquipmentHeader.PIN", 1, "FuelUsed.FuelConsumed", "consumed"));
        all.add(new Profile(
            List.of("EquipmentHeader.Model", "EquipmentHeader.PIN", "Location", "CumulativeOperatingHours", "Distance", "EngineStatus"),
            List.of("Location.Altitude"), "EquipmentHeader.PIN", 2, "Distance.Odometer", "distance"));
        return all;
    }
}
