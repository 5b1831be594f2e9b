import java.time.Duration;
import java.util.Map;
import java.util.TreeMap;
import java.util.TreeSet;
import org.apache.kafka.connect.mirror.RemoteClusterUtils;

/** What MirrorMaker's own client sees at a target: bootstrap, alias of the source, group. One line for each question. */
public class MirrorMakerClients {
    public static void main(String[] arguments) throws Exception {
        String alias = arguments[1];
        Map<String, Object> settings = Map.of("bootstrap.servers", arguments[0]);
        TreeMap<String, Long> offsets = new TreeMap<>();
        RemoteClusterUtils.translateOffsets(settings, alias, arguments[2], Duration.ofSeconds(30))
            .forEach((partition, offset) -> offsets.put(partition.toString(), offset.offset()));
        System.out.println("offsets " + offsets);
        System.out.println("upstream " + new TreeSet<>(RemoteClusterUtils.upstreamClusters(settings)));
        System.out.println("hops " + RemoteClusterUtils.replicationHops(settings, alias));
        System.out.println("heartbeats " + new TreeSet<>(RemoteClusterUtils.heartbeatTopics(settings)));
        System.out.println("checkpoints " + new TreeSet<>(RemoteClusterUtils.checkpointTopics(settings)));
    }
}
