import java.util.concurrent.TimeUnit;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.CuratorFrameworkFactory;
import org.apache.curator.framework.recipes.atomic.AtomicValue;
import org.apache.curator.framework.recipes.atomic.CachedAtomicInteger;
import org.apache.curator.framework.recipes.atomic.CachedAtomicLong;
import org.apache.curator.framework.recipes.atomic.DistributedAtomicInteger;
import org.apache.curator.framework.recipes.atomic.DistributedAtomicLong;
import org.apache.curator.framework.recipes.atomic.PromotedToLock;
import org.apache.curator.framework.recipes.shared.SharedCount;
import org.apache.curator.retry.ExponentialBackoffRetry;
import org.apache.curator.retry.RetryNTimes;

/**
 * One of a mixed fleet: counts with Curator's recipes.
 *
 * Usage: CuratorCounters HOSTS NAME ROUNDS. Prints "ready" when it is connected, continues when it reads a
 * line, and prints "done" last. The znodes /ids-of-curator and
 * /small-ids-of-curator contain the ids that it has taken. If NAME is
 * victim, it has a short session, and sets /victim to the number of its rounds after each.
 */
public class CuratorCounters {
    static void check(boolean fact, String otherwise) {
        if (!fact) {
            throw new IllegalStateException(otherwise);
        }
    }

    static void check(AtomicValue<? extends Number> value) {
        check(value.succeeded(), "not counted");
        check(value.postValue().longValue() == value.preValue().longValue() + 1, "not by one");
    }

    public static void main(String[] args) throws Exception {
        boolean isVictim = args[1].equals("victim");
        int timeout = isVictim ? 4_000 : 60_000;
        CuratorFramework zk =
            CuratorFrameworkFactory.newClient(args[0], timeout, 60_000, new ExponentialBackoffRetry(100, 5));
        zk.start();
        check(zk.blockUntilConnected(1, TimeUnit.DAYS), "not connected");
        SharedCount count = new SharedCount(zk, "/count", 0);
        count.start();
        RetryNTimes tries = new RetryNTimes(3, 1);
        PromotedToLock lock = PromotedToLock.builder()
            .lockPath("/long-lock")
            .retryPolicy(new RetryNTimes(100_000, 1))
            .build();
        DistributedAtomicLong number = new DistributedAtomicLong(zk, "/long", tries, lock);
        DistributedAtomicInteger integer =
            new DistributedAtomicInteger(zk, "/int", new RetryNTimes(100_000, 1));
        CachedAtomicLong ids = new CachedAtomicLong(
            new DistributedAtomicLong(zk, "/ids", new RetryNTimes(100_000, 1)), 7);
        CachedAtomicInteger smallIds = new CachedAtomicInteger(
            new DistributedAtomicInteger(zk, "/small-ids", new RetryNTimes(100_000, 1)), 7);
        StringBuilder taken = new StringBuilder();
        StringBuilder smallTaken = new StringBuilder();
        System.out.println("ready");
        System.in.read();
        for (int round = 0; round < Integer.parseInt(args[2]); round++) {
            check(number.increment());
            check(integer.increment());
            while (!count.trySetCount(count.getVersionedValue(), count.getCount() + 1)) {
                Thread.yield();
            }
            AtomicValue<Long> id = ids.next();
            check(id.succeeded(), "no id");
            taken.append(id.preValue()).append(' ');
            AtomicValue<Integer> smallId = smallIds.next();
            check(smallId.succeeded(), "no id");
            smallTaken.append(smallId.preValue()).append(' ');
            if (isVictim) {
                zk.setData().forPath("/victim", Integer.toString(round + 1).getBytes());
            }
        }
        zk.create().forPath("/ids-of-curator", taken.toString().getBytes());
        zk.create().forPath("/small-ids-of-curator", smallTaken.toString().getBytes());
        count.close();
        zk.close();
        System.out.println("done");
        System.exit(0);
    }
}
