import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.Arrays;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.CuratorFrameworkFactory;
import org.apache.curator.framework.recipes.nodes.GroupMember;
import org.apache.curator.framework.recipes.nodes.PersistentNode;
import org.apache.curator.retry.ExponentialBackoffRetry;
import org.apache.zookeeper.CreateMode;

/**
 * One of a mixed fleet: joins and leaves a group under Curator's recipes.
 *
 * Usage: CuratorMembers HOSTS NAME ROUNDS TIMEOUT. TIMEOUT is that of the session, in milliseconds. Prints
 * "ready" when it is connected, continues when it reads a line, and prints "done" last, after ROUNDS rounds and
 * the end of its input. Each round it joins the group as NAME-<round>, finds itself and the member "rust" in
 * it, and leaves. The process whose NAME is java also keeps znodes: some below /golden, and others for a moment.
 */
public class CuratorMembers {
    static CuratorFramework zk;

    static void check(boolean fact, String otherwise) {
        if (!fact) {
            throw new IllegalStateException(otherwise);
        }
    }

    static void group(String id) throws Exception {
        try (GroupMember member = new GroupMember(zk, "/group", id, "of java".getBytes())) {
            member.start();
            while (true) {
                Map<String, byte[]> members = member.getCurrentMembers();
                check(members.containsKey(id), "it is not in its own view");
                byte[] data = members.get("rust");
                // It is away for a moment after its session has ended.
                if (data != null && zk.checkExists().forPath("/group/" + id) != null) {
                    check(Arrays.equals(data, "of rust".getBytes()), new String(data));
                    break;
                }
                Thread.sleep(1);
            }
        }
    }

    static void nodes(int number) throws Exception {
        CreateMode[] modes = {
            CreateMode.EPHEMERAL, CreateMode.EPHEMERAL_SEQUENTIAL, CreateMode.PERSISTENT
        };
        for (CreateMode mode : modes) {
            for (boolean isProtected : new boolean[] {false, true}) {
                String path = "/nodes/java-";
                byte[] data = "of java".getBytes();
                try (PersistentNode node = new PersistentNode(zk, mode, isProtected, path, data)) {
                    node.start();
                    check(node.waitForInitialCreate(1, TimeUnit.DAYS), "not created");
                }
            }
        }
    }

    static void golden() throws Exception {
        PersistentNode plain = new PersistentNode(zk, CreateMode.EPHEMERAL, false, "/golden/plain", "1".getBytes());
        PersistentNode guarded = new PersistentNode(zk, CreateMode.EPHEMERAL, true, "/golden/guarded", "2".getBytes());
        PersistentNode counted =
            new PersistentNode(zk, CreateMode.EPHEMERAL_SEQUENTIAL, true, "/golden/counted-", "3".getBytes());
        for (PersistentNode node : new PersistentNode[] {plain, guarded, counted}) {
            node.start();
            check(node.waitForInitialCreate(1, TimeUnit.DAYS), "not created");
        }
    }

    public static void main(String[] args) throws Exception {
        int timeout = Integer.parseInt(args[3]);
        zk = CuratorFrameworkFactory.newClient(args[0], timeout, 60_000, new ExponentialBackoffRetry(100, 5));
        zk.start();
        check(zk.blockUntilConnected(1, TimeUnit.DAYS), "not connected");
        boolean keepsNodes = args[1].equals("java");
        if (keepsNodes) {
            // The layout, to be compared: they stay until the end.
            golden();
        }
        System.out.println("ready");
        while (System.in.read() != '\n') {}
        AtomicBoolean ended = new AtomicBoolean();
        Thread waits = new Thread(() -> {
            try {
                while (System.in.read() >= 0) {}
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
            ended.set(true);
        });
        waits.setDaemon(true);
        waits.start();
        for (int number = 0; number < Integer.parseInt(args[2]) || !ended.get(); number++) {
            group(args[1] + "-" + number);
            if (keepsNodes && number % 10 == 0) {
                nodes(number);
            }
        }
        zk.close();
        System.out.println("done");
        System.exit(0);
    }
}
