import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.CuratorFrameworkFactory;
import org.apache.curator.framework.recipes.barriers.DistributedDoubleBarrier;
import org.apache.curator.framework.state.ConnectionState;
import org.apache.curator.retry.ExponentialBackoffRetry;

/**
 * One of a mixed fleet: passes Curator's double barriers.
 *
 * Usage: CuratorDoubleBarrier HOSTS ROUNDS MEMBERS LAST TIMEOUT. TIMEOUT is that of the session, in
 * milliseconds. Prints "ready", continues when it reads a line, and passes the barrier of each round. Then it
 * enters the barrier at the path LAST, prints "inside", reads a line, leaves, and prints "done". It ends if its
 * session does.
 */
public class CuratorDoubleBarrier {
    static CuratorFramework zk;

    static void together(String step, int number, int members) throws Exception {
        long there = zk.getChildren().forPath("/" + step).stream()
            .filter(name -> name.startsWith(number + "-"))
            .count();
        if (there != members) {
            throw new AssertionError(step + " " + number + ": " + there);
        }
    }

    public static void main(String[] arguments) throws Exception {
        int rounds = Integer.parseInt(arguments[1]);
        int members = Integer.parseInt(arguments[2]);
        zk = CuratorFrameworkFactory.builder()
            .connectString(arguments[0])
            .sessionTimeoutMs(Integer.parseInt(arguments[4]))
            .retryPolicy(new ExponentialBackoffRetry(100, 20))
            .build();
        zk.getConnectionStateListenable().addListener((client, state) -> {
            if (state == ConnectionState.LOST) {
                Runtime.getRuntime().halt(3);
            }
        });
        zk.start();
        zk.blockUntilConnected();
        System.out.println("ready");
        while (System.in.read() != '\n') {}
        for (int number = 0; number < rounds; number++) {
            DistributedDoubleBarrier barrier =
                new DistributedDoubleBarrier(zk, "/barrier-" + number, members);
            zk.create().forPath("/entering/" + number + "-curator");
            barrier.enter();
            together("entering", number, members);
            zk.create().forPath("/inside/" + number + "-curator");
            zk.create().forPath("/leaving/" + number + "-curator");
            barrier.leave();
            together("leaving", number, members);
        }
        DistributedDoubleBarrier last = new DistributedDoubleBarrier(zk, arguments[3], members);
        last.enter();
        System.out.println("inside");
        while (System.in.read() != '\n') {}
        last.leave();
        zk.close();
        System.out.println("done");
    }
}
