import de.bwaldvogel.mongo.MongoServer;
import de.bwaldvogel.mongo.ServerVersion;
import de.bwaldvogel.mongo.backend.AbstractMongoBackend;
import de.bwaldvogel.mongo.backend.h2.H2Backend;
import de.bwaldvogel.mongo.backend.memory.MemoryBackend;
import java.net.InetSocketAddress;

/** Serves MongoDB's wire protocol on loopback until standard input ends. Arguments: port, and a file for what is stored. */
public class MongoServe {
    public static void main(String[] args) throws Exception {
        AbstractMongoBackend backend = args.length > 1 ? new H2Backend(args[1]) : new MemoryBackend();
        backend.setVersion(ServerVersion.MONGO_5_0);
        MongoServer server = new MongoServer(backend);
        server.bind(new InetSocketAddress("127.0.0.1", Integer.parseInt(args[0])));
        System.out.println("ready " + server.getLocalAddress().getPort());
        while (System.in.read() >= 0) {
        }
        server.shutdownNow();
        System.exit(0);
    }
}
