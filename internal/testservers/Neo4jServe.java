import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.Map;
import org.neo4j.server.CommunityBootstrapper;

/**
 * Starts what the distribution's own script starts: Neo4jServe port [folder]. Without a folder the data is in a temporary one.
 * It ends when its standard input does, at once: what was committed is on disk.
 */
public final class Neo4jServe {
    public static void main(String[] args) throws Exception {
        Path home = args.length > 1 ? Path.of(args[1]) : Files.createTempDirectory("neo4j-serve-");
        int failed = new CommunityBootstrapper().start(home, Map.of(
                "server.bolt.listen_address", "127.0.0.1:" + args[0],
                "server.http.enabled", "false",
                "dbms.security.auth_enabled", "false",
                "dbms.usage_report.enabled", "false",
                "server.memory.pagecache.size", "64m"));
        if (failed == 0) {
            System.out.println("ready " + args[0]);
            while (System.in.read() >= 0) {
            }
        }
        if (args.length < 2) {
            try (var files = Files.walk(home)) {
                files.sorted(Comparator.reverseOrder()).forEach(f -> f.toFile().delete());
            }
        }
        Runtime.getRuntime().halt(failed);
    }
}
