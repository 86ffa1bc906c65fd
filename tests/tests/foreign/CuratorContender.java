import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.CuratorFrameworkFactory;
import org.apache.curator.framework.recipes.leader.LeaderLatch;
import org.apache.curator.framework.recipes.leader.LeaderSelector;
import org.apache.curator.framework.recipes.leader.LeaderSelectorListenerAdapter;
import org.apache.curator.framework.recipes.locks.InterProcessMultiLock;
import org.apache.curator.framework.recipes.locks.InterProcessMutex;
import org.apache.curator.framework.recipes.locks.InterProcessReadWriteLock;
import org.apache.curator.framework.recipes.locks.InterProcessSemaphoreV2;
import org.apache.curator.framework.recipes.locks.Lease;
import org.apache.curator.framework.recipes.locks.Revoker;
import org.apache.curator.framework.recipes.shared.SharedCount;
import org.apache.curator.retry.ExponentialBackoffRetry;
import org.apache.zookeeper.CreateMode;

/**
 * One of a mixed fleet: goes through critical sections under Curator's recipes.
 *
 * Usage: CuratorContender HOSTS KIND NAME SECTIONS. Prints "ready" when it is connected, continues
 * when it reads a line, and prints "done" last. KIND is lock, multi, rw, semaphore, count, latch, selector,
 * revoke or revocable. The session of the contender whose NAME is victim is short.
 */
public class CuratorContender {
    static final int MAX_LEASES = 2;

    static CuratorFramework zk;
    static String name;

    static String read(String path) throws Exception {
        return new String(zk.getData().forPath(path));
    }

    static void write(String path, String text) throws Exception {
        zk.setData().forPath(path, text.getBytes());
    }

    static void check(boolean fact, String otherwise) {
        if (!fact) {
            throw new IllegalStateException(otherwise);
        }
    }

    static void note() throws Exception {
        zk.create().withMode(CreateMode.PERSISTENT_SEQUENTIAL).forPath("/log/e-", name.getBytes());
    }

    static void exclusive() throws Exception {
        int count = Integer.parseInt(read("/counter"));
        write("/counter", Integer.toString(count + 1));
        note();
    }

    static void writing() throws Exception {
        check(read("/writing").equals("no"), "somebody else is writing");
        write("/writing", name);
        exclusive();
        check(read("/writing").equals(name), "somebody else is writing");
        write("/writing", "no");
    }

    static void reading() throws Exception {
        String before = read("/counter");
        check(read("/writing").equals("no"), "somebody is writing");
        check(read("/counter").equals(before), "somebody has written");
        note();
    }

    static void permitted() throws Exception {
        String own = zk.create()
            .withMode(CreateMode.EPHEMERAL_SEQUENTIAL)
            .forPath("/inside/i-", name.getBytes());
        List<String> inside = zk.getChildren().forPath("/inside");
        check(inside.size() <= MAX_LEASES, inside.toString());
        note();
        zk.delete().forPath(own);
    }

    static void section(String kind, int number) throws Exception {
        switch (kind) {
            case "lock": {
                InterProcessMutex lock = new InterProcessMutex(zk, "/shared");
                lock.acquire();
                exclusive();
                lock.release();
                break;
            }
            case "multi": {
                // In the order of the paths, as ours: it acquires them in the order given.
                InterProcessMultiLock lock = new InterProcessMultiLock(zk, List.of("/other", "/shared"));
                lock.acquire();
                exclusive();
                lock.release();
                break;
            }
            case "rw": {
                InterProcessReadWriteLock lock = new InterProcessReadWriteLock(zk, "/shared");
                if (number % 3 == 0) {
                    lock.writeLock().acquire();
                    writing();
                    // No downgrade: in Debian's version, 5.4.0, the reader that a writer becomes goes
                    // to the end of the line, and the next writer enters beside it (CURATOR-621).
                    lock.writeLock().release();
                } else {
                    lock.readLock().acquire();
                    reading();
                    lock.readLock().release();
                }
                break;
            }
            case "semaphore": {
                InterProcessSemaphoreV2 semaphore =
                    new InterProcessSemaphoreV2(zk, "/shared", MAX_LEASES);
                Lease lease = semaphore.acquire();
                permitted();
                semaphore.returnLease(lease);
                break;
            }
            case "count": {
                SharedCount count = new SharedCount(zk, "/limit", MAX_LEASES);
                count.start();
                InterProcessSemaphoreV2 semaphore = new InterProcessSemaphoreV2(zk, "/shared", count);
                Lease lease = semaphore.acquire();
                permitted();
                semaphore.returnLease(lease);
                count.close();
                break;
            }
            case "latch": {
                LeaderLatch latch = new LeaderLatch(zk, "/shared", name);
                latch.start();
                latch.await();
                exclusive();
                latch.close();
                break;
            }
            case "selector": {
                CountDownLatch led = new CountDownLatch(1);
                Exception[] failed = new Exception[1];
                ExecutorService thread = Executors.newSingleThreadExecutor();
                LeaderSelector selector =
                    new LeaderSelector(zk, "/shared", thread, new LeaderSelectorListenerAdapter() {
                        @Override
                        public void takeLeadership(CuratorFramework client) {
                            try {
                                exclusive();
                            } catch (Exception error) {
                                failed[0] = error;
                            }
                            led.countDown();
                        }
                    });
                selector.setId(name);
                selector.start();
                check(led.await(1, TimeUnit.DAYS), "not elected");
                // Not closed before it has let go by itself, which it would be interrupted in.
                thread.shutdown();
                check(thread.awaitTermination(1, TimeUnit.DAYS), "leads for ever");
                selector.close();
                if (failed[0] != null) {
                    throw failed[0];
                }
                break;
            }
            case "revoke": {
                String holder = "/shared/" + zk.getChildren().forPath("/shared").get(0);
                Revoker.attemptRevoke(zk, holder);
                break;
            }
            case "revocable": {
                CountDownLatch asked = new CountDownLatch(1);
                InterProcessMutex lock = new InterProcessMutex(zk, "/shared");
                lock.makeRevocable(revoked -> asked.countDown());
                lock.acquire();
                System.out.println("holds");
                check(asked.await(1, TimeUnit.DAYS), "not asked");
                lock.release();
                break;
            }
            default:
                throw new IllegalArgumentException(kind);
        }
    }

    public static void main(String[] args) throws Exception {
        name = args[2];
        int timeout = name.equals("victim") ? 4_000 : 60_000;
        zk = CuratorFrameworkFactory.newClient(args[0], timeout, 60_000, new ExponentialBackoffRetry(100, 5));
        zk.start();
        check(zk.blockUntilConnected(1, TimeUnit.DAYS), "not connected");
        System.out.println("ready");
        System.in.read();
        for (int number = 0; number < Integer.parseInt(args[3]); number++) {
            section(args[1], number);
        }
        zk.close();
        System.out.println("done");
        System.exit(0);
    }
}
