import java.io.BufferedReader;
import java.io.InputStreamReader;
import org.apache.zookeeper.ZooKeeperMain;

/**
 * ZooKeeper's own command line, zkCli, of which each line of standard input is a command.
 *
 * Usage: ZkCli HOSTS. Prints the names of zkCli's commands on a line. Then prints what each command writes to
 * standard output or standard error, and "-- end" on a line after it.
 */
public class ZkCli {
    public static void main(String[] args) throws Exception {
        // Before the class of zkCli is loaded, which keeps both streams.
        System.setErr(System.out);
        ZooKeeperMain cli =
            new ZooKeeperMain(new String[] {"-waitforconnection", "-timeout", "60000", "-server", args[0]});
        System.out.println("commands " + String.join(" ", ZooKeeperMain.getCommands()));
        System.out.flush();
        BufferedReader commands = new BufferedReader(new InputStreamReader(System.in));
        for (String command = commands.readLine(); command != null; command = commands.readLine()) {
            cli.executeLine(command);
            System.out.println("-- end");
            System.out.flush();
        }
        System.exit(0);
    }
}
