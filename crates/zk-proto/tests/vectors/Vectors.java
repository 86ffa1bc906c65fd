import java.io.ByteArrayOutputStream;
import java.lang.reflect.Field;
import java.lang.reflect.Modifier;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import java.util.Set;
import org.apache.jute.BinaryOutputArchive;
import org.apache.jute.Record;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.MultiOperationRecord;
import org.apache.zookeeper.MultiResponse;
import org.apache.zookeeper.Op;
import org.apache.zookeeper.OpResult;
import org.apache.zookeeper.common.PathUtils;
import org.apache.zookeeper.data.ACL;
import org.apache.zookeeper.data.ClientInfo;
import org.apache.zookeeper.data.Id;
import org.apache.zookeeper.data.Stat;

/**
 * Writes vectors.txt: records with seeded random values, serialized by ZooKeeper's own classes.
 *
 * Needs zookeeper.jar, zookeeper-jute.jar and an slf4j on the class path:
 *   java -cp ... Vectors.java > vectors.txt
 *
 * One line a record: name, tab, values, tab, bytes in hex. Values are in the order of the class's
 * fields: numbers in decimal; strings and buffers as '"' and hex; null as '~'; vectors in brackets;
 * nested records in braces. A line "# name fields..." stands before the first of each.
 */
public final class Vectors {
    private static final int EACH = 20;
    private static final Random RANDOM = new Random(20240);
    private static final int[] INTS = {0, 1, -1, 2, 31, Integer.MAX_VALUE, Integer.MIN_VALUE};
    private static final long[] LONGS =
        {0, 1, -1, 0x200000003L, Long.MAX_VALUE, Long.MIN_VALUE, 0xff00000000001388L};
    private static final String[] STRINGS =
        {"", "/", "/a", "/app/lock-0000000001", "digest", "user:\u00e9\u65e5\ud7ff\uffee", "\0"};
    private static final Set<String> NULLABLE = Set.of(
        "data", "auth", "token", "prefixPath", "joiningServers", "leavingServers", "newMembers");

    private static final String[] RECORDS = {
        "data.Stat", "data.Id", "data.ACL", "data.ClientInfo",
        "proto.RequestHeader", "proto.ReplyHeader", "proto.WatcherEvent", "proto.MultiHeader",
        "proto.CreateRequest", "proto.CreateTTLRequest", "proto.CreateResponse",
        "proto.Create2Response", "proto.DeleteRequest", "proto.ExistsRequest",
        "proto.ExistsResponse", "proto.GetDataRequest", "proto.GetDataResponse",
        "proto.SetDataRequest", "proto.SetDataResponse", "proto.GetACLRequest",
        "proto.GetACLResponse", "proto.SetACLRequest", "proto.SetACLResponse",
        "proto.GetChildrenRequest", "proto.GetChildrenResponse", "proto.GetChildren2Request",
        "proto.GetChildren2Response", "proto.SyncRequest", "proto.SyncResponse",
        "proto.CheckVersionRequest", "proto.ReconfigRequest", "proto.CheckWatchesRequest",
        "proto.RemoveWatchesRequest", "proto.AddWatchRequest", "proto.SetWatches",
        "proto.SetWatches2", "proto.AuthPacket", "proto.GetSASLRequest", "proto.SetSASLResponse",
        "proto.GetEphemeralsRequest", "proto.GetEphemeralsResponse",
        "proto.GetAllChildrenNumberRequest", "proto.GetAllChildrenNumberResponse",
        "proto.WhoAmIResponse", "proto.ErrorResponse", "proto.ConnectRequest",
        "proto.ConnectResponse",
    };

    public static void main(String[] args) throws Exception {
        for (String name : RECORDS) {
            Class<?> type = Class.forName("org.apache.zookeeper." + name);
            StringBuilder header = new StringBuilder("# ").append(type.getSimpleName());
            for (Field field : fields(type)) {
                header.append(' ').append(field.getName());
            }
            System.out.println(header);
            for (int i = 0; i < EACH; i++) {
                Record record = (Record) make(type, "");
                print(type.getSimpleName(), text(record), bytes(record));
            }
        }
        handshakes();
        multis();
        cesu8();
        paths();
    }

    /** The client and the server append readOnly to these by hand. */
    private static void handshakes() throws Exception {
        for (String name : new String[] {"ConnectRequest", "ConnectResponse"}) {
            Class<?> type = Class.forName("org.apache.zookeeper.proto." + name);
            for (int i = 0; i < EACH; i++) {
                Record record = (Record) make(type, "");
                ByteArrayOutputStream out = new ByteArrayOutputStream();
                BinaryOutputArchive archive = BinaryOutputArchive.getArchive(out);
                record.serialize(archive, "");
                archive.writeBool(i % 2 == 0, "readOnly");
                print(name + "+readOnly", text(record) + " " + (i % 2 == 0), out.toByteArray());
            }
        }
    }

    private static void multis() throws Exception {
        for (int i = 0; i < 3 * EACH; i++) {
            boolean reads = i % 3 == 0;
            MultiOperationRecord request = new MultiOperationRecord();
            StringBuilder values = new StringBuilder();
            for (int n = RANDOM.nextInt(5); n > 0; n--) {
                Op op = op(reads);
                request.add(op);
                values.append(op.getType()).append(text(op.toRequestRecord())).append(' ');
            }
            print("MultiRequest", values.toString().trim(), bytes(request));
        }
        for (int i = 0; i < 3 * EACH; i++) {
            MultiResponse response = new MultiResponse();
            StringBuilder values = new StringBuilder();
            for (int n = RANDOM.nextInt(5); n > 0; n--) {
                String path = string();
                Stat stat = (Stat) make(Stat.class, "");
                byte[] data = buffer(true);
                List<String> names = strings();
                int err = INTS[RANDOM.nextInt(INTS.length)];
                switch (RANDOM.nextInt(8)) {
                    case 0 -> add(response, values, new OpResult.CreateResult(path), text(path));
                    case 1 -> add(response, values, new OpResult.CreateResult(path, stat),
                        text(path) + " " + text(stat));
                    case 2 -> add(response, values, new OpResult.SetDataResult(stat), text(stat));
                    case 3 -> add(response, values, new OpResult.DeleteResult(), "");
                    case 4 -> add(response, values, new OpResult.CheckResult(), "");
                    case 5 -> add(response, values, new OpResult.GetDataResult(data, stat),
                        text(data) + " " + text(stat));
                    case 6 -> add(response, values, new OpResult.GetChildrenResult(names),
                        text(names));
                    default -> add(response, values, new OpResult.ErrorResult(err),
                        Integer.toString(err));
                }
            }
            print("MultiResponse", values.toString().trim(), bytes(response));
        }
    }

    private static void add(MultiResponse response, StringBuilder values, OpResult result, String text) {
        response.add(result);
        values.append(result.getType()).append('{').append(text).append("} ");
    }

    /** Java writes a character outside the BMP as two surrogates of three bytes each. */
    private static void cesu8() throws Exception {
        for (String user : new String[] {"\ud83d\ude00", "bob\ud83d\ude00:x", "\ud800\udc00\udbff\udfff"}) {
            Record acl = new org.apache.zookeeper.proto.GetACLResponse(
                Collections.singletonList(new ACL(31, new Id("digest", user))), new Stat());
            print("cesu8 GetACLResponse", text(acl), bytes(acl));
            Record clients = new org.apache.zookeeper.proto.WhoAmIResponse(
                Collections.singletonList(new ClientInfo("digest", user)));
            print("cesu8 WhoAmIResponse", text(clients), bytes(clients));
            Record created = new org.apache.zookeeper.proto.CreateResponse(user);
            print("cesu8 CreateResponse", text(created), bytes(created));
        }
    }

    /** What PathUtils says: forbidden UTF-16 units, then paths with their validity, plain and sequential. */
    private static void paths() {
        StringBuilder ranges = new StringBuilder();
        for (int unit = 0, start = -1; unit <= 0x10000; unit++) {
            boolean bad = unit <= 0xffff && !valid("/" + (char) unit + "x", false) && unit != '/';
            if (bad && start < 0) {
                start = unit;
            } else if (!bad && start >= 0) {
                ranges.append(String.format("%x-%x ", start, unit - 1));
                start = -1;
            }
        }
        System.out.println("forbidden\t" + ranges.toString().trim());
        String[] names = {"", "/", "a", ".", "..", "//", "a.", ".a", "...", "/./", "/../", "/a", "a/", "\u00e9"};
        for (String first : names) {
            for (String second : names) {
                String path = "/" + first + second;
                for (String each : new String[] {path, path.substring(1)}) {
                    System.out.println("path\t" + hex(each.getBytes(StandardCharsets.UTF_8)) + "\t"
                        + valid(each, false) + " " + valid(each, true));
                }
            }
        }
    }

    private static boolean valid(String path, boolean sequential) {
        try {
            PathUtils.validatePath(path, sequential);
            return true;
        } catch (IllegalArgumentException e) {
            return false;
        }
    }

    private static Op op(boolean read) throws Exception {
        String path = string();
        byte[] data = buffer(true);
        List<ACL> acl = new ArrayList<>();
        acl.add((ACL) make(ACL.class, ""));
        int version = INTS[RANDOM.nextInt(INTS.length)];
        if (read) {
            return RANDOM.nextBoolean() ? Op.getData(path) : Op.getChildren(path);
        }
        return switch (RANDOM.nextInt(6)) {
            case 0 -> Op.create(path, data, acl, RANDOM.nextInt(4));
            case 1 -> Op.create(path, data, acl, CreateMode.CONTAINER);
            case 2 -> Op.create(path, data, acl, CreateMode.PERSISTENT_WITH_TTL, 1 + RANDOM.nextInt(9999));
            case 3 -> Op.delete(path, version);
            case 4 -> Op.setData(path, data, version);
            default -> Op.check(path, version);
        };
    }

    private static Object make(Class<?> type, String name) throws Exception {
        if (type == int.class) {
            return RANDOM.nextInt(4) == 0 ? RANDOM.nextInt() : INTS[RANDOM.nextInt(INTS.length)];
        } else if (type == long.class) {
            return RANDOM.nextInt(4) == 0 ? RANDOM.nextLong() : LONGS[RANDOM.nextInt(LONGS.length)];
        } else if (type == boolean.class) {
            return RANDOM.nextBoolean();
        } else if (type == byte[].class) {
            return buffer(NULLABLE.contains(name));
        } else if (type == String.class) {
            return NULLABLE.contains(name) && RANDOM.nextInt(3) == 0 ? null : string();
        } else if (type == List.class) {
            if (!name.equals("acl") && !name.equals("clientInfo")) {
                return strings();
            }
            List<Object> list = new ArrayList<>();
            for (int n = RANDOM.nextInt(4); n > 0; n--) {
                list.add(make(name.equals("acl") ? ACL.class : ClientInfo.class, ""));
            }
            return list;
        }
        Object record = type.getDeclaredConstructor().newInstance();
        for (Field field : fields(type)) {
            field.set(record, make(field.getType(), field.getName()));
        }
        return record;
    }

    private static String string() {
        return STRINGS[RANDOM.nextInt(STRINGS.length)];
    }

    private static List<String> strings() {
        List<String> list = new ArrayList<>();
        for (int n = RANDOM.nextInt(5); n > 0; n--) {
            list.add(string());
        }
        return list;
    }

    private static byte[] buffer(boolean nullable) {
        int kind = RANDOM.nextInt(nullable ? 5 : 4);
        if (kind == 4) {
            return null;
        }
        byte[] data = new byte[kind == 0 ? 0 : kind == 1 ? 300 : RANDOM.nextInt(20)];
        RANDOM.nextBytes(data);
        return data;
    }

    private static List<Field> fields(Class<?> type) {
        List<Field> fields = new ArrayList<>();
        for (Field field : type.getDeclaredFields()) {
            if (!Modifier.isStatic(field.getModifiers())) {
                field.setAccessible(true);
                fields.add(field);
            }
        }
        return fields;
    }

    private static String text(Object value) throws Exception {
        if (value == null) {
            return "~";
        } else if (value instanceof byte[] data) {
            return '"' + hex(data);
        } else if (value instanceof String string) {
            return '"' + hex(string.getBytes(StandardCharsets.UTF_8));
        } else if (value instanceof List<?> list) {
            List<String> items = new ArrayList<>();
            for (Object item : list) {
                items.add(text(item));
            }
            return "[" + String.join(" ", items) + "]";
        } else if (value instanceof Record) {
            List<String> items = new ArrayList<>();
            for (Field field : fields(value.getClass())) {
                items.add(text(field.get(value)));
            }
            return "{" + String.join(" ", items) + "}";
        }
        return value.toString();
    }

    private static byte[] bytes(Record record) throws Exception {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        record.serialize(BinaryOutputArchive.getArchive(out), "");
        return out.toByteArray();
    }

    private static String hex(byte[] data) {
        StringBuilder hex = new StringBuilder();
        for (byte b : data) {
            hex.append(String.format("%02x", b));
        }
        return hex.toString();
    }

    private static void print(String name, String values, byte[] bytes) {
        System.out.println(name + "\t" + values + "\t" + hex(bytes));
    }
}
