import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;

/** Does what remote.py asks, which describes the lines: a connection is a producer, a consumer or an admin client. */
public final class Serving {
    static final ObjectMapper JSON = new ObjectMapper();
    private static final Map<Integer, Client> CLIENTS = new ConcurrentHashMap<>();
    private static final AtomicInteger IDS = new AtomicInteger();

    /** What a connection has opened. */
    interface Client extends AutoCloseable {
        void answer(JsonNode asked, ObjectNode answer) throws Exception;

        @Override
        void close();
    }

    private Serving() {}

    public static void main(String[] arguments) throws Exception {
        ServerSocket server = new ServerSocket(0, 50, InetAddress.getLoopbackAddress());
        Thread serving = new Thread(() -> accept(server));
        serving.setDaemon(true);
        serving.start();
        System.out.println(server.getLocalPort());
        while (System.in.read() >= 0) {
            // Nothing is said there: its end is ours.
        }
        System.exit(0);
    }

    static Reading reader(int id) {
        return (Reading) CLIENTS.get(id);
    }

    private static void accept(ServerSocket server) {
        while (true) {
            try {
                Socket socket = server.accept();
                Thread talking = new Thread(() -> talk(socket));
                talking.setDaemon(true);
                talking.start();
            } catch (Exception error) {
                error.printStackTrace();
                return;
            }
        }
    }

    private static void talk(Socket socket) {
        int id = IDS.incrementAndGet();
        try (socket;
                BufferedReader lines = new BufferedReader(
                        new InputStreamReader(socket.getInputStream(), StandardCharsets.UTF_8));
                OutputStream out = socket.getOutputStream()) {
            for (String line = lines.readLine(); line != null; line = lines.readLine()) {
                ObjectNode answer = JSON.createObjectNode();
                try {
                    handle(id, JSON.readTree(line), answer);
                } catch (Exception error) {
                    error.printStackTrace();
                    answer.put("error", error.toString());
                }
                out.write((JSON.writeValueAsString(answer) + "\n").getBytes(StandardCharsets.UTF_8));
                out.flush();
            }
        } catch (IOException error) {
            error.printStackTrace();
        }
    }

    private static void handle(int id, JsonNode asked, ObjectNode answer) throws Exception {
        switch (asked.get("do").asText()) {
            case "writer" -> CLIENTS.put(id, new Writing(asked));
            case "reader" -> CLIENTS.put(id, new Reading(asked));
            case "sharer" -> CLIENTS.put(id, new Sharing(asked));
            case "admin" -> answer.set("faults", JSON.valueToTree(Administration.faults(asked)));
            case "close" -> CLIENTS.remove(id).close();
            default -> CLIENTS.get(id).answer(asked, answer);
        }
        answer.put("id", id);
    }
}
