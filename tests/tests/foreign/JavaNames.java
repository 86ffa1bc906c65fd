// Prints the public API of Curator, or of ZooKeeper's client, as it is on the class path: the type and the
// method, a line each. The methods of the steps of Curator's builders, whose types no program names, are
// without a type.
//
//     JavaNames.java curator|zookeeper

import java.io.File;
import java.lang.reflect.Field;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.jar.JarFile;

public class JavaNames {
    /** Not for users: implementations, and helpers of the implementations. */
    private static final Set<String> INTERNAL = Set.of(
            "org.apache.curator.connection",
            "org.apache.curator.framework.imps",
            "org.apache.curator.x.discovery.details");

    /** ZooKeeper's jar has its servers, too, so this is a list: what programs use of the client. */
    private static final List<String> ZOOKEEPER = List.of(
            "ZooKeeper", "ZooKeeper$States", "Transaction", "Op", "OpResult", "ZKUtil", "AddWatchMode",
            "CreateMode", "WatchedEvent", "Watcher", "Watcher$WatcherType", "Watcher$Event$EventType",
            "Watcher$Event$KeeperState", "ZooDefs$Ids", "ZooDefs$Perms", "KeeperException",
            "KeeperException$Code", "AsyncCallback", "Testable", "admin.ZooKeeperAdmin", "data.ACL", "data.Id",
            "data.Stat", "data.ClientInfo", "client.ZKClientConfig", "client.HostProvider",
            "client.StaticHostProvider");

    /** Of every type. */
    private static final Set<String> PLAIN =
            Set.of("toString", "hashCode", "equals", "compareTo", "values", "valueOf");

    /** The name of a step of a builder. */
    private static final String STEP =
            ".*(able|ible|WatchableBase|Builder|Builder2|BuilderMain|MultiTransactionMain|Local|WatchesType|Quietly"
                    + "|TransactionBridge|TransactionFinal|CuratorTransaction|CuratorMultiTransaction)";

    public static void main(String[] arguments) throws Exception {
        Set<String> lines = new TreeSet<>();
        if (arguments[0].equals("zookeeper")) {
            for (String name : ZOOKEEPER) {
                add(lines, Class.forName("org.apache.zookeeper." + name));
            }
            lines.forEach(System.out::println);
            return;
        }
        for (String entry : System.getProperty("java.class.path").split(File.pathSeparator)) {
            if (new File(entry).getName().startsWith("curator-") && entry.endsWith(".jar")) {
                try (JarFile jar = new JarFile(entry)) {
                    jar.stream().map(file -> file.getName()).forEach(file -> add(lines, file));
                }
            }
        }
        lines.forEach(System.out::println);
    }

    private static void add(Set<String> lines, String file) {
        if (!file.startsWith("org/apache/curator/") || !file.endsWith(".class")) {
            return;
        }
        String name = file.substring(0, file.length() - ".class".length()).replace('/', '.');
        String place = name.substring(0, name.lastIndexOf('.'));
        if (INTERNAL.contains(place) || name.contains(".shaded.")) {
            return;
        }
        Class<?> type;
        try {
            type = Class.forName(name, false, JavaNames.class.getClassLoader());
            type.getDeclaredMethods();
        } catch (Throwable missing) {
            // What it needs is not here, so no program with these jars uses it.
            return;
        }
        for (Class<?> outer = type; outer != null; outer = outer.getEnclosingClass()) {
            if (!Modifier.isPublic(outer.getModifiers()) || outer.isAnonymousClass()) {
                return;
            }
        }
        add(lines, type);
    }

    private static void add(Set<String> lines, Class<?> type) {
        String name = type.getName();
        String place = name.substring(0, name.lastIndexOf('.'));
        String own = name.substring(name.lastIndexOf('.') + 1).replace('$', '.');
        boolean isStep = place.contains(".framework.api") && own.matches(STEP);
        if (isStep) {
            own = "-";
        } else {
            lines.add(own + " -");
        }
        if (type.isEnum()) {
            for (Object constant : type.getEnumConstants()) {
                lines.add(own + " " + ((Enum<?>) constant).name());
            }
        }
        for (Field field : type.getDeclaredFields()) {
            if (Modifier.isPublic(field.getModifiers()) && Modifier.isStatic(field.getModifiers())
                    && place.startsWith("org.apache.zookeeper") && !field.isEnumConstant()) {
                lines.add(own + " " + field.getName());
            }
        }
        for (Method method : type.getDeclaredMethods()) {
            // A program does not write such records.
            boolean isGiven = !place.endsWith(".data") || method.getName().startsWith("get");
            boolean isPlain = !isGiven || method.isSynthetic() || PLAIN.contains(method.getName());
            if (Modifier.isPublic(method.getModifiers()) && !isPlain) {
                lines.add(own + " " + method.getName());
            }
        }
    }
}
