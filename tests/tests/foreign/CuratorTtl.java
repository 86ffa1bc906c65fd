import java.util.concurrent.TimeUnit;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.CuratorFrameworkFactory;
import org.apache.curator.framework.recipes.nodes.PersistentTtlNode;
import org.apache.curator.retry.ExponentialBackoffRetry;

/**
 * Keeps znodes with a time to live under Curator's recipe.
 *
 * Usage: CuratorTtl HOSTS TTL PATH.... Prints "ready" when the znodes exist, and closes them and prints "done"
 * when it reads a line.
 */
public class CuratorTtl {
    public static void main(String[] args) throws Exception {
        CuratorFramework zk =
            CuratorFrameworkFactory.newClient(args[0], 60_000, 60_000, new ExponentialBackoffRetry(100, 5));
        zk.start();
        PersistentTtlNode[] nodes = new PersistentTtlNode[args.length - 2];
        for (int n = 0; n < nodes.length; n++) {
            nodes[n] = new PersistentTtlNode(zk, args[n + 2], Long.parseLong(args[1]), "1".getBytes());
            nodes[n].start();
            if (!nodes[n].waitForInitialCreate(1, TimeUnit.DAYS)) {
                throw new IllegalStateException("not created");
            }
        }
        System.out.println("ready");
        System.in.read();
        for (PersistentTtlNode node : nodes) {
            node.close();
        }
        zk.close();
        System.out.println("done");
        System.exit(0);
    }
}
