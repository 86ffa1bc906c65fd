import java.util.concurrent.TimeUnit;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.CuratorFrameworkFactory;
import org.apache.curator.framework.recipes.queue.DistributedDelayQueue;
import org.apache.curator.framework.recipes.queue.DistributedIdQueue;
import org.apache.curator.framework.recipes.queue.DistributedPriorityQueue;
import org.apache.curator.framework.recipes.queue.DistributedQueue;
import org.apache.curator.framework.recipes.queue.QueueBuilder;
import org.apache.curator.framework.recipes.queue.QueueConsumer;
import org.apache.curator.framework.recipes.queue.QueueSerializer;
import org.apache.curator.framework.recipes.queue.SimpleDistributedQueue;
import org.apache.curator.framework.state.ConnectionState;
import org.apache.curator.retry.ExponentialBackoffRetry;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException;

/**
 * One of a mixed fleet: puts and takes items of Curator's queues.
 *
 * Usage: CuratorQueues HOSTS KIND NAME ITEMS TOTAL. Puts the item "golden" and prints "ready", continues when
 * it reads a line, puts ITEMS items, and takes items until TOTAL are done. Prints "done" last. KIND is
 * plain, priority, delay, id or simple. If NAME is victim, it has a short session, puts no "golden", and
 * creates a znode below /served for each item.
 */
public class CuratorQueues {
    static CuratorFramework zk;
    static boolean isVictim;

    interface Putting {
        void put(String item, int number) throws Exception;
    }

    static void process(String item) throws Exception {
        try {
            zk.create().forPath("/done/" + item, "curator".getBytes());
        } catch (KeeperException.NodeExistsException e) {
            zk.create().withMode(CreateMode.PERSISTENT_SEQUENTIAL).forPath("/twice/e-", item.getBytes());
        }
        if (isVictim) {
            zk.create().withMode(CreateMode.PERSISTENT_SEQUENTIAL).forPath("/served/e-");
        }
    }

    static class Consumer implements QueueConsumer<String> {
        public void consumeMessage(String item) throws Exception {
            process(item);
        }

        public void stateChanged(CuratorFramework client, ConnectionState state) {}
    }

    static class Text implements QueueSerializer<String> {
        public byte[] serialize(String item) {
            return item.getBytes();
        }

        public String deserialize(byte[] data) {
            return new String(data);
        }
    }

    /** A queue that is started; without a consumer it only puts. */
    static Putting start(String kind, Consumer consumer) throws Exception {
        QueueBuilder<String> builder = QueueBuilder.builder(zk, consumer, new Text(), "/q").lockPath("/q-claims");
        switch (kind) {
            case "plain": {
                DistributedQueue<String> queue = builder.buildQueue();
                queue.start();
                return (item, number) -> queue.put(item);
            }
            case "priority": {
                DistributedPriorityQueue<String> queue = builder.buildPriorityQueue(0);
                queue.start();
                return (item, number) -> queue.put(item, number % 3 - 1);
            }
            case "delay": {
                DistributedDelayQueue<String> queue = builder.buildDelayQueue();
                queue.start();
                return (item, number) -> queue.put(item, 1_700_000_000_000L + number);
            }
            case "id": {
                DistributedIdQueue<String> queue = builder.buildIdQueue();
                queue.start();
                return (item, number) -> queue.put(item, "x/" + number);
            }
            default:
                throw new IllegalArgumentException(kind);
        }
    }

    public static void main(String[] args) throws Exception {
        String kind = args[1];
        isVictim = args[2].equals("victim");
        int items = Integer.parseInt(args[3]);
        int total = Integer.parseInt(args[4]);
        zk = CuratorFrameworkFactory.newClient(args[0], isVictim ? 4_000 : 60_000, 60_000, new ExponentialBackoffRetry(100, 5));
        zk.start();
        if (!zk.blockUntilConnected(1, TimeUnit.DAYS)) {
            throw new IllegalStateException("not connected");
        }
        if (kind.equals("simple")) {
            SimpleDistributedQueue queue = new SimpleDistributedQueue(zk, "/q");
            queue.offer("golden".getBytes());
            System.out.println("ready");
            System.in.read();
            for (int number = 0; number < items; number++) {
                queue.offer(("them-" + number).getBytes());
                byte[] item = queue.poll();
                if (item != null) {
                    process(new String(item));
                }
            }
            while (zk.getChildren().forPath("/done").size() < total) {
                byte[] item = queue.poll(200, TimeUnit.MILLISECONDS);
                if (item != null) {
                    process(new String(item));
                }
            }
        } else {
            if (!isVictim) {
                start(kind, null).put("golden", 7);
            }
            System.out.println("ready");
            System.in.read();
            Putting queue = start(kind, new Consumer());
            for (int number = 0; number < items; number++) {
                queue.put("them-" + number, number);
            }
            while (zk.getChildren().forPath("/done").size() < total) {
                Thread.sleep(20);
            }
        }
        // What was consumed last is removed after it was processed.
        while (!zk.getChildren().forPath("/q").isEmpty()) {
            Thread.sleep(20);
        }
        System.out.println("done");
        System.exit(0);
    }
}
