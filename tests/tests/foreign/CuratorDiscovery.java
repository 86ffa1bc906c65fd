import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.util.Collection;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.CuratorFrameworkFactory;
import org.apache.curator.framework.state.ConnectionState;
import org.apache.curator.retry.ExponentialBackoffRetry;
import org.apache.curator.x.discovery.ServiceCache;
import org.apache.curator.x.discovery.ServiceDiscovery;
import org.apache.curator.x.discovery.ServiceDiscoveryBuilder;
import org.apache.curator.x.discovery.ServiceInstance;
import org.apache.curator.x.discovery.ServiceType;
import org.apache.curator.x.discovery.UriSpec;
import org.apache.zookeeper.ZooKeeper;

/**
 * Service discovery under Curator, as another process commands it.
 *
 * Usage: CuratorDiscovery HOSTS TIMEOUT. TIMEOUT is that of the session, in milliseconds. Prints "ready", and
 * then a line for each command that it reads: register ID PAYLOAD, update ID PAYLOAD, unregister ID, list, query,
 * expire, golden, sequential, numbered.
 */
public class CuratorDiscovery {
    static final String SERVICE = "search";

    static CuratorFramework zk;
    static ServiceDiscovery<Object> discovery;
    static ServiceCache<Object> cache;
    static final Map<String, ServiceInstance<Object>> own = new TreeMap<>();

    static ServiceInstance<Object> instance(String id, String payload) throws Exception {
        return ServiceInstance.builder()
            .name(SERVICE).id(id).address("java").port(1).payload((Object) payload).build();
    }

    static String text(Collection<ServiceInstance<Object>> instances) {
        Map<String, Object> sorted = new TreeMap<>();
        for (ServiceInstance<Object> instance : instances) {
            sorted.put(instance.getId(), instance.getPayload());
        }
        StringBuilder text = new StringBuilder();
        sorted.forEach((id, payload) -> text.append(id).append('=').append(payload).append(' '));
        return text.toString().trim();
    }

    /** Another connection of the session ends it. */
    static void expire() throws Exception {
        CountDownLatch lost = new CountDownLatch(1);
        CountDownLatch again = new CountDownLatch(1);
        zk.getConnectionStateListenable().addListener((client, state) -> {
            if (state == ConnectionState.LOST) {
                lost.countDown();
            } else if (state == ConnectionState.RECONNECTED && lost.getCount() == 0) {
                again.countDown();
            }
        });
        ZooKeeper session = zk.getZookeeperClient().getZooKeeper();
        CountDownLatch connected = new CountDownLatch(1);
        ZooKeeper second = new ZooKeeper(
            zk.getZookeeperClient().getCurrentConnectionString(), 60_000,
            event -> connected.countDown(), session.getSessionId(), session.getSessionPasswd());
        connected.await(1, TimeUnit.DAYS);
        second.close();
        again.await(1, TimeUnit.DAYS);
    }

    static void golden() throws Exception {
        Map<String, Object> payload = new TreeMap<>();
        payload.put("weight", 3);
        payload.put("zone", "a");
        discovery.registerService(ServiceInstance.builder()
            .name("golden").id("full").address("h\u00e9\"\u001f").port(1).sslPort(2)
            .payload((Object) payload).registrationTimeUTC(5).serviceType(ServiceType.STATIC)
            .uriSpec(new UriSpec("{scheme}://{address}:{ port }/{[}")).build());
        discovery.registerService(ServiceInstance.builder()
            .name("golden").id("bare").address("h").registrationTimeUTC(5).build());
    }

    static String carry(String[] words) throws Exception {
        switch (words[0]) {
            case "register": {
                ServiceInstance<Object> instance = instance(words[1], words[2]);
                own.put(words[1], instance);
                discovery.registerService(instance);
                return "ok";
            }
            case "update": {
                ServiceInstance<Object> instance = instance(words[1], words[2]);
                own.put(words[1], instance);
                discovery.updateService(instance);
                return "ok";
            }
            case "unregister":
                discovery.unregisterService(own.remove(words[1]));
                return "ok";
            case "list":
                return text(cache.getInstances());
            case "query":
                return text(discovery.queryForInstances(SERVICE));
            case "expire":
                expire();
                return "ok";
            case "golden":
                golden();
                return "ok";
            case "sequential":
                discovery.registerService(ServiceInstance.builder()
                    .name("numbered").id("theirs-").address("java").payload((Object) "1")
                    .serviceType(ServiceType.DYNAMIC_SEQUENTIAL).build());
                return "ok";
            case "numbered": {
                ServiceCache<Object> numbered = discovery.serviceCacheBuilder().name("numbered").build();
                numbered.start();
                try (numbered) {
                    return text(numbered.getInstances()) + ", " + text(discovery.queryForInstances("numbered"));
                }
            }
            default:
                throw new IllegalArgumentException(words[0]);
        }
    }

    public static void main(String[] args) throws Exception {
        zk = CuratorFrameworkFactory.newClient(args[0], Integer.parseInt(args[1]), 60_000, new ExponentialBackoffRetry(100, 5));
        zk.start();
        zk.blockUntilConnected(1, TimeUnit.DAYS);
        discovery = ServiceDiscoveryBuilder.builder(Object.class).client(zk).basePath("/services").build();
        discovery.start();
        cache = discovery.serviceCacheBuilder().name(SERVICE).build();
        cache.start();
        System.out.println("ready");
        BufferedReader commands = new BufferedReader(new InputStreamReader(System.in));
        for (String line = commands.readLine(); line != null; line = commands.readLine()) {
            try {
                System.out.println(carry(line.split(" ")));
            } catch (Exception error) {
                System.out.println("failed: " + error);
            }
        }
        System.exit(0);
    }
}
