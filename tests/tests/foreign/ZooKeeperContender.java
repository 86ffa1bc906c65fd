import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException;
import org.apache.zookeeper.Watcher.Event.KeeperState;
import org.apache.zookeeper.ZooDefs.Ids;
import org.apache.zookeeper.ZooKeeper;
import org.apache.zookeeper.recipes.leader.LeaderElectionSupport;
import org.apache.zookeeper.recipes.leader.LeaderElectionSupport.EventType;
import org.apache.zookeeper.recipes.lock.LockListener;
import org.apache.zookeeper.recipes.lock.WriteLock;

/**
 * One of a mixed fleet: goes through critical sections under ZooKeeper's own recipes.
 *
 * Usage: ZooKeeperContender HOSTS KIND NAME SECTIONS. Prints "ready" when it is connected, continues when it
 * reads a line, and prints "done" last. KIND is lock, for WriteLock, or election, for LeaderElectionSupport. The
 * session of the contender whose NAME is victim is short.
 */
public class ZooKeeperContender {
    static ZooKeeper zk;
    static String name;

    static void exclusive() throws Exception {
        int count = Integer.parseInt(new String(zk.getData("/counter", false, null)));
        zk.setData("/counter", Integer.toString(count + 1).getBytes(), -1);
        zk.create("/log/e-", name.getBytes(), Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT_SEQUENTIAL);
    }

    static void lock() throws Exception {
        CountDownLatch acquired = new CountDownLatch(1);
        WriteLock lock = new WriteLock(zk, "/shared", Ids.OPEN_ACL_UNSAFE, new LockListener() {
            @Override
            public void lockAcquired() {
                acquired.countDown();
            }

            @Override
            public void lockReleased() {}
        });
        // It sets no watch if the contender before it leaves between two of its requests: it is called again.
        do {
            lock.lock();
        } while (!acquired.await(100, TimeUnit.MILLISECONDS));
        exclusive();
        lock.unlock();
        lock.close();
    }

    /** It fails if another contender leaves while it reads what the contenders are, and is tried again. */
    static void election() throws Exception {
        boolean[] isElected = new boolean[1];
        while (!isElected[0]) {
            CountDownLatch decided = new CountDownLatch(1);
            LeaderElectionSupport election = new LeaderElectionSupport();
            election.setZooKeeper(zk);
            election.setRootNodeName("/shared");
            election.setHostName(name);
            election.addListener(event -> {
                if (event == EventType.ELECTED_COMPLETE || event == EventType.FAILED) {
                    isElected[0] = event == EventType.ELECTED_COMPLETE;
                    decided.countDown();
                }
            });
            election.start();
            decided.await(1, TimeUnit.DAYS);
            if (isElected[0]) {
                exclusive();
            }
            election.stop();
        }
    }

    public static void main(String[] args) throws Exception {
        name = args[2];
        CountDownLatch connected = new CountDownLatch(1);
        zk = new ZooKeeper(args[0], name.equals("victim") ? 4_000 : 60_000, event -> {
            if (event.getState() == KeeperState.SyncConnected) {
                connected.countDown();
            }
        });
        connected.await(1, TimeUnit.DAYS);
        try {
            zk.create("/shared", new byte[0], Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
        } catch (KeeperException.NodeExistsException another) {
            // It was faster.
        }
        System.out.println("ready");
        System.in.read();
        for (int number = 0; number < Integer.parseInt(args[3]); number++) {
            if (args[1].equals("lock")) {
                lock();
            } else {
                election();
            }
        }
        zk.close();
        System.out.println("done");
        System.exit(0);
    }
}
