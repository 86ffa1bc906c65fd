import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.CuratorFrameworkFactory;
import org.apache.curator.framework.recipes.leader.LeaderLatch;
import org.apache.curator.framework.recipes.leader.LeaderSelector;
import org.apache.curator.framework.recipes.leader.LeaderSelectorListenerAdapter;
import org.apache.curator.framework.recipes.locks.InterProcessMutex;
import org.apache.curator.framework.recipes.locks.InterProcessReadWriteLock;
import org.apache.curator.framework.recipes.locks.InterProcessSemaphoreV2;
import org.apache.curator.retry.ExponentialBackoffRetry;

/**
 * Curator's recipes, each with a holder and a contender that waits, until standard input ends.
 *
 * Usage: CuratorHolders HOSTS. Prints "ready" when the holders have what they hold.
 */
public class CuratorHolders {
    static String hosts;

    static CuratorFramework client(String data) throws Exception {
        CuratorFramework zk = CuratorFrameworkFactory.builder()
            .connectString(hosts)
            .sessionTimeoutMs(60_000)
            .connectionTimeoutMs(60_000)
            .retryPolicy(new ExponentialBackoffRetry(100, 5))
            .defaultData(data.getBytes())
            .build();
        zk.start();
        if (!zk.blockUntilConnected(1, TimeUnit.DAYS)) {
            throw new IllegalStateException("not connected");
        }
        return zk;
    }

    static void inBackground(Callable<?> work) {
        Thread thread = new Thread(() -> {
            try {
                work.call();
            } catch (Exception error) {
                error.printStackTrace();
            }
        });
        thread.setDaemon(true);
        thread.start();
    }

    static InterProcessSemaphoreV2 semaphore(CuratorFramework zk, String data) {
        InterProcessSemaphoreV2 semaphore = new InterProcessSemaphoreV2(zk, "/semaphore", 2);
        semaphore.setNodeData(data.getBytes());
        return semaphore;
    }

    public static void main(String[] args) throws Exception {
        hosts = args[0];
        CuratorFramework first = client("first");
        CuratorFramework second = client("second");
        // Referenced until the end: a lease is closed when it is collected.
        List<Object> held = new ArrayList<>();
        new InterProcessMutex(first, "/lock").acquire();
        new InterProcessReadWriteLock(first, "/rw").readLock().acquire();
        new InterProcessReadWriteLock(second, "/rw").readLock().acquire();
        held.add(semaphore(first, "first").acquire());
        held.add(semaphore(second, "second").acquire());
        LeaderLatch latch = new LeaderLatch(first, "/latch", "first");
        latch.start();
        latch.await();
        CountDownLatch led = new CountDownLatch(1);
        LeaderSelector selector = new LeaderSelector(first, "/election", new LeaderSelectorListenerAdapter() {
            @Override
            public void takeLeadership(CuratorFramework zk) throws Exception {
                led.countDown();
                new CountDownLatch(1).await();
            }
        });
        selector.setId("first");
        selector.start();
        led.await();
        inBackground(() -> {
            new InterProcessMutex(second, "/lock").acquire();
            return null;
        });
        inBackground(() -> {
            new InterProcessReadWriteLock(second, "/rw").writeLock().acquire();
            return null;
        });
        inBackground(() -> semaphore(second, "waits").acquire());
        LeaderLatch candidate = new LeaderLatch(second, "/latch", "second");
        candidate.start();
        System.out.println("ready");
        System.in.read();
        System.exit(held.size() + (candidate.hasLeadership() ? 1 : 0) == 2 ? 0 : 1);
    }
}
