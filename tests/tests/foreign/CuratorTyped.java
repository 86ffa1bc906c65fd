import java.util.concurrent.TimeUnit;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.CuratorFrameworkFactory;
import org.apache.curator.retry.ExponentialBackoffRetry;
import org.apache.zookeeper.KeeperException;
import org.apache.zookeeper.data.Stat;

/**
 * One of a mixed fleet: changes compressed data with Curator.
 *
 * Usage: CuratorTyped HOSTS NAME ROUNDS. Creates /golden and /golden-empty, and reads /ours and /ours-empty.
 * Prints "ready" then, continues when it reads a line, and prints "done" last. If NAME is victim, it creates
 * nothing, and sets /victim to the number of its rounds after each.
 */
public class CuratorTyped {
    static void check(boolean fact, String otherwise) {
        if (!fact) {
            throw new IllegalStateException(otherwise);
        }
    }

    static String read(CuratorFramework zk, String path, Stat stat) throws Exception {
        return new String(zk.getData().decompressed().storingStatIn(stat).forPath(path), "UTF-8");
    }

    public static void main(String[] args) throws Exception {
        CuratorFramework zk =
            CuratorFrameworkFactory.newClient(args[0], 60_000, 60_000, new ExponentialBackoffRetry(100, 5));
        zk.start();
        check(zk.blockUntilConnected(1, TimeUnit.DAYS), "not connected");
        boolean isVictim = args[1].equals("victim");
        if (!isVictim) {
            zk.create().compressed().forPath("/golden", "golden".getBytes("UTF-8"));
            zk.create().compressed().forPath("/golden-empty", new byte[0]);
        }
        check(read(zk, "/ours", new Stat()).equals("ours"), "/ours");
        check(read(zk, "/ours-empty", new Stat()).isEmpty(), "/ours-empty");
        System.out.println("ready");
        System.in.read();
        for (int round = 0; round < Integer.parseInt(args[2]); round++) {
            while (true) {
                Stat stat = new Stat();
                long number = Long.parseLong(read(zk, "/number", stat)) + 1;
                try {
                    zk.setData()
                        .compressed()
                        .withVersion(stat.getVersion())
                        .forPath("/number", Long.toString(number).getBytes("UTF-8"));
                    break;
                } catch (KeeperException.BadVersionException faster) {
                    Thread.yield();
                }
            }
            if (isVictim) {
                zk.setData().forPath("/victim", Integer.toString(round + 1).getBytes("UTF-8"));
            }
        }
        zk.close();
        System.out.println("done");
        System.exit(0);
    }
}
