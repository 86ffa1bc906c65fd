// Shows that Curator behaves as the guide says to its users; prints the name of each behaviour.
//
//     CuratorTraps.java HOSTS

import java.lang.reflect.Field;
import java.lang.reflect.Method;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.CuratorFrameworkFactory;
import org.apache.curator.framework.recipes.atomic.DistributedAtomicLong;
import org.apache.curator.framework.recipes.locks.InterProcessMutex;
import org.apache.curator.framework.recipes.nodes.PersistentNode;
import org.apache.curator.framework.recipes.queue.DistributedQueue;
import org.apache.curator.framework.recipes.queue.QueueBuilder;
import org.apache.curator.framework.recipes.queue.QueueConsumer;
import org.apache.curator.framework.recipes.queue.QueueSerializer;
import org.apache.curator.framework.state.ConnectionState;
import org.apache.curator.retry.RetryNTimes;
import org.apache.curator.x.discovery.ServiceDiscovery;
import org.apache.curator.x.discovery.ServiceDiscoveryBuilder;
import org.apache.curator.x.discovery.ServiceInstance;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.ZooKeeper;
import org.apache.zookeeper.data.Stat;

public class CuratorTraps {
    static CuratorFramework client;
    static BlockingQueue<ConnectionState> states = new LinkedBlockingQueue<>();

    static void check(boolean holds) {
        if (!holds) throw new AssertionError();
    }

    static Object field(Class<?> type, String name, Object of) throws Exception {
        Field field = type.getDeclaredField(name);
        field.setAccessible(true);
        return field.get(of);
    }

    /** Loses the connection and waits for the next one, in the same session. */
    static void reconnect() throws Exception {
        states.clear();
        // `Testable` closes a socket from ZooKeeper 3.9 on, by the method that is also there before.
        Object connection = field(ZooKeeper.class, "cnxn", client.getZookeeperClient().getZooKeeper());
        Object sender = field(connection.getClass(), "sendThread", connection);
        Method close = sender.getClass().getDeclaredMethod("testableCloseSocket");
        close.setAccessible(true);
        close.invoke(sender);
        while (states.take() != ConnectionState.RECONNECTED) { }
    }

    static Stat stat(String path) throws Exception {
        return client.checkExists().forPath(path);
    }

    /** Waits for another state of a znode, which may be deleted and created meanwhile. */
    static Stat changed(String path, Stat before) throws Exception {
        while (true) {
            Stat now = stat(path);
            if (now != null && now.getMzxid() != before.getMzxid()) {
                return now;
            }
        }
    }

    static void sessionTimeoutIsAMinute() {
        check(CuratorFrameworkFactory.builder().getSessionTimeoutMs() == 60_000);
    }

    static void dataDefaultToTheAddress() throws Exception {
        client.create().forPath("/default");
        byte[] address = CuratorFrameworkFactory.getLocalAddress();
        check(address.length > 0 && new String(address).equals(new String(client.getData().forPath("/default"))));
    }

    static void namespaceIsCreated() throws Exception {
        client.usingNamespace("space").create().forPath("/node");
        check(stat("/space/node") != null);
    }

    static void mutexIsReentrantAndOfItsThread() throws Exception {
        InterProcessMutex mutex = new InterProcessMutex(client, "/mutex");
        mutex.acquire();
        check(mutex.acquire(1, TimeUnit.DAYS));
        mutex.release();
        boolean refused = CompletableFuture.supplyAsync(() -> {
            try {
                mutex.release();
                return false;
            } catch (IllegalMonitorStateException other) {
                return true;
            } catch (Exception unexpected) {
                return false;
            }
        }).get();
        check(refused);
        mutex.release();
    }

    static void countersWrapAround() throws Exception {
        DistributedAtomicLong number = new DistributedAtomicLong(client, "/number", new RetryNTimes(3, 10));
        number.forceSet(Long.MAX_VALUE);
        check(number.increment().postValue() == Long.MIN_VALUE);
    }

    static void itemsAreRemovedFirst() throws Exception {
        BlockingQueue<Integer> left = new LinkedBlockingQueue<>();
        QueueConsumer<String> consumer = new QueueConsumer<String>() {
            @Override
            public void consumeMessage(String item) throws Exception {
                left.add(client.getChildren().forPath("/queue").size());
            }

            @Override
            public void stateChanged(CuratorFramework client, ConnectionState state) { }
        };
        QueueSerializer<String> text = new QueueSerializer<String>() {
            @Override
            public byte[] serialize(String item) {
                return item.getBytes();
            }

            @Override
            public String deserialize(byte[] bytes) {
                return new String(bytes);
            }
        };
        DistributedQueue<String> queue = QueueBuilder.builder(client, consumer, text, "/queue").buildQueue();
        queue.start();
        queue.put("item");
        check(left.take() == 0);
        queue.close();
    }

    static void persistentNodeIsWrittenAgain() throws Exception {
        PersistentNode node = new PersistentNode(client, CreateMode.EPHEMERAL, false, "/alive", "data".getBytes());
        node.start();
        check(node.waitForInitialCreate(1, TimeUnit.DAYS));
        Stat before = stat("/alive");
        reconnect();
        Stat after = changed("/alive", before);
        check(after.getCzxid() == before.getCzxid() && after.getEphemeralOwner() == before.getEphemeralOwner());
        node.close();
    }

    static void instanceIsRegisteredAgain() throws Exception {
        ServiceInstance<Void> instance = ServiceInstance.<Void>builder().name("name").id("id").port(1).build();
        ServiceDiscovery<Void> discovery = ServiceDiscoveryBuilder.builder(Void.class)
                .client(client).basePath("/services").thisInstance(instance).build();
        discovery.start();
        Stat before = stat("/services/name/id");
        reconnect();
        Stat after = changed("/services/name/id", before);
        check(after.getCzxid() != before.getCzxid() && after.getEphemeralOwner() == before.getEphemeralOwner());
        discovery.close();
    }

    public static void main(String[] arguments) throws Exception {
        client = CuratorFrameworkFactory.newClient(arguments[0], new RetryNTimes(10, 100));
        client.getConnectionStateListenable().addListener((c, state) -> states.add(state));
        client.start();
        sessionTimeoutIsAMinute();
        System.out.println("sessionTimeoutIsAMinute");
        dataDefaultToTheAddress();
        System.out.println("dataDefaultToTheAddress");
        namespaceIsCreated();
        System.out.println("namespaceIsCreated");
        mutexIsReentrantAndOfItsThread();
        System.out.println("mutexIsReentrantAndOfItsThread");
        countersWrapAround();
        System.out.println("countersWrapAround");
        itemsAreRemovedFirst();
        System.out.println("itemsAreRemovedFirst");
        persistentNodeIsWrittenAgain();
        System.out.println("persistentNodeIsWrittenAgain");
        instanceIsRegisteredAgain();
        System.out.println("instanceIsRegisteredAgain");
        System.exit(0);
    }
}
