/* load: many WebSockets on one thread, to count and time what a server sends them.
 *
 *     load -p PORT -n SOCKETS -t TOPICS -d raw|socketio|phoenix [-k TOKEN]
 *
 * Opens SOCKETS followers spread over TOPICS and one more socket that publishes, waits until
 * the server has confirmed each of them, and obeys the lines of its standard input:
 *
 *     closed SECONDS WINDOW BATCH    as fast as it goes, at most WINDOW events outstanding
 *     open SECONDS EVENTS BATCH      EVENTS a second, whatever comes back; times each delivery
 *     idle SECONDS                   nothing
 *
 * BATCH events of as many topics are asked for by one command. Each line is answered by one
 * line of JSON. While a phase runs it polls without sleeping, so that the server's send()
 * does not pay for waking it up. Every delivery is checked: it must be the next seq of its
 * own topic; `gaps` counts those that are not. How the servers are spoken to: talk.h.
 */
#define _GNU_SOURCE
#include <inttypes.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "talk.h"

#define READ_BYTES (256 * 1024)
#define HELD_BYTES (64 * 1024)      /* the largest part of a frame that waits for its rest */
#define MOST_SAMPLES (8 * 1000 * 1000)
#define EVENTS_AT_ONCE 1024
#define CONNECTING_AT_ONCE 64
#define CONNECT_SECONDS 60
#define DRAIN_SECONDS 20
#define SECOND 1000000000ull

static int port, socket_count = 1000, topic_count = 1;
static const char *token = "";
static int poller;
static struct client *clients, *publisher;
static struct topic *topics;
static int ready_count, next_topic;
static char *incoming;

/* What has happened so far; phases look at differences. */
static uint64_t delivered, folded, gaps, others, closed, reads, idle_ns;
static uint64_t turned_at; /* when the last look for something to read ended */

static bool timing;
static uint64_t read_at;
static uint32_t *samples; /* microseconds */
static size_t sample_count;

static uint64_t clock_ns(clockid_t which) {
    struct timespec time;
    clock_gettime(which, &time);
    return (uint64_t)time.tv_sec * SECOND + (uint64_t)time.tv_nsec;
}

static uint64_t now(void) { return clock_ns(CLOCK_MONOTONIC); }

/* Ask for `batch` events on as many topics, round and round. False if it cannot be sent now. */
static bool publish(int batch) {
    char order[128];
    const char *form = dialect == SOCKETIO ? "42[\"publish\",\"%d %d %d %" PRIu64 "\"]" : "%d %d %d %" PRIu64;
    int size = snprintf(order, sizeof order, form, next_topic, batch, topic_count, now());
    if (!say(publisher, 1, order, (size_t)size)) return false;
    next_topic = (next_topic + batch) % topic_count;
    return true;
}

/* Counting. */

static uint64_t number_after(const char *text, size_t size, const char *key) {
    const char *found = memmem(text, size, key, strlen(key));
    return found ? strtoull(found + strlen(key), NULL, 10) : 0;
}

/* A delivery, or something else. One that stands for a run of events (`from_seq`) counts as
 * all of them, and is told as `folded`. */
static void take(struct client *client, const char *text, size_t size) {
    const struct topic *topic = &topics[client->topic];
    if (size <= topic->head_size || memcmp(text, topic->head, topic->head_size) != 0) {
        if (dialect == SOCKETIO && begins(text, size, "2")) say_text(client, "3");
        others++;
        return;
    }
    uint64_t seq = strtoull(text + topic->head_size, NULL, 10), count = 1;
    if (client->seq != 0 && seq != client->seq + 1) {
        uint64_t first = number_after(text, size, "\"from_seq\":");
        if (first == client->seq + 1 && seq > first) {
            count = seq - client->seq;
            folded += count - 1;
        } else {
            gaps++;
        }
    }
    client->seq = seq;
    delivered += count;
    if (timing && sample_count < MOST_SAMPLES) {
        uint64_t sent = number_after(text, size, "\"message\":\"");
        samples[sample_count++] = sent < read_at ? (uint32_t)((read_at - sent) / 1000) : 0;
    }
}

static void frame(struct client *client, int opcode, const char *text, size_t size) {
    if (opcode == 0x9) {
        say(client, 0xA, text, size);
    } else if (opcode == 0x1 && client->stage == READY) {
        take(client, text, size);
    } else if (opcode == 0x1 && greeted(client, text, size)) {
        client->stage = READY;
        ready_count++;
    }
}

/* Take in what is whole of `data`; how many bytes that was. */
static size_t parse(struct client *client, const char *data, size_t size) {
    size_t at = 0;
    if (client->stage == UPGRADING) {
        const char *end = memmem(data, size, "\r\n\r\n", 4);
        if (!end) return 0;
        if (!begins(data, size, "HTTP/1.1 101")) fail("no upgrade: %.*s", (int)size, data);
        at = (size_t)(end - data) + 4;
        greet(client);
    }
    for (;;) {
        const unsigned char *head = (const unsigned char *)data + at;
        size_t left = size - at, skip = 2, payload;
        if (left < 2) return at;
        if (!(head[0] & 0x80) || (head[0] & 0x70)) fail("fragments or extensions, unasked for");
        payload = head[1] & 127;
        if (payload == 127) fail("a frame beyond 64 KiB");
        if (payload == 126) {
            if (left < 4) return at;
            payload = (size_t)head[2] << 8 | head[3];
            skip = 4;
        }
        if (left < skip + payload) return at;
        frame(client, head[0] & 15, data + at + skip, payload);
        at += skip + payload;
    }
}

static void leave(struct client *client) {
    if (client->stage != READY) fail("a connection was closed before it was confirmed");
    closed++;
    close(client->fd);
    client->fd = -1;
}

static void receive(struct client *client) {
    size_t held = client->held_size;
    if (held) memcpy(incoming, client->held, held);
    ssize_t got = recv(client->fd, incoming + held, READ_BYTES, 0);
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) {
        leave(client);
        return;
    }
    reads++;
    if (timing) read_at = now();
    size_t size = held + (size_t)got, used = parse(client, incoming, size);
    client->held_size = size - used;
    if (client->held_size > HELD_BYTES) fail("a frame or a head without end");
    if (client->held_size) {
        if (!client->held && !(client->held = malloc(HELD_BYTES))) fail("no memory");
        memcpy(client->held, incoming + used, client->held_size);
    } else if (client->held) {
        free(client->held);
        client->held = NULL;
    }
}

/* Connections. */

static void start(struct client *client) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    struct epoll_event event = {.events = EPOLLOUT, .data.ptr = client};
    int on = 1;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    client->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (client->fd < 0) fail("socket: %s", strerror(errno));
    setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (connect(client->fd, (struct sockaddr *)&address, sizeof address) && errno != EINPROGRESS)
        fail("connect: %s", strerror(errno));
    if (epoll_ctl(poller, EPOLL_CTL_ADD, client->fd, &event)) fail("epoll: %s", strerror(errno));
}

static void upgrade(struct client *client) {
    char path[128], request[768];
    int trouble = 0;
    socklen_t size = sizeof trouble;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = client};
    getsockopt(client->fd, SOL_SOCKET, SO_ERROR, &trouble, &size);
    if (trouble) fail("connect: %s", strerror(trouble));
    path_of(client, path, sizeof path);
    int length = snprintf(request, sizeof request,
        "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: c2FmZWxpZ2h0LWxvYWQtMQ==\r\n%s%s%s\r\n",
        path, port, *token ? "Authorization: Bearer " : "", token, *token ? "\r\n" : "");
    if (send(client->fd, request, (size_t)length, MSG_NOSIGNAL) != length) fail("upgrade not sent");
    client->stage = UPGRADING;
    epoll_ctl(poller, EPOLL_CTL_MOD, client->fd, &event);
}

/* Whatever there is to read, read. Time that passed without anything is idle time. */
static void turn(int wait_ms) {
    static struct epoll_event events[EVENTS_AT_ONCE];
    int count = epoll_wait(poller, events, EVENTS_AT_ONCE, wait_ms);
    if (count == 0) idle_ns += now() - turned_at;
    for (int i = 0; i < count; i++) {
        struct client *client = events[i].data.ptr;
        if (client->fd < 0) continue;
        if (client->stage == CONNECTING) upgrade(client);
        else receive(client);
    }
    turned_at = now();
}

static void connect_all(void) {
    uint64_t began = now();
    for (int begun = 0; ready_count <= socket_count; turn(100)) {
        for (; begun <= socket_count && begun - ready_count < CONNECTING_AT_ONCE; begun++) {
            clients[begun].topic = begun % topic_count;
            clients[begun].publishes = &clients[begun] == publisher;
            start(&clients[begun]);
        }
        if (now() - began > CONNECT_SECONDS * SECOND)
            fail("%d of %d ready after %d s", ready_count, socket_count + 1, CONNECT_SECONDS);
    }
    printf("{\"phase\":\"connected\",\"seconds\":%.6f}\n", (double)(now() - began) / 1e9);
    fflush(stdout);
}

/* Phases. */

static int by_size(const void *one, const void *other) {
    uint32_t a = *(const uint32_t *)one, b = *(const uint32_t *)other;
    return (a > b) - (a < b);
}

static void tell_times(void) {
    if (sample_count == 0) return;
    qsort(samples, sample_count, sizeof *samples, by_size);
    printf(",\"p50_us\":%u,\"p99_us\":%u", samples[sample_count / 2], samples[sample_count * 99 / 100]);
}

static void run(const char *kind, double seconds, double pace, int batch) {
    uint64_t fan = (uint64_t)(socket_count / topic_count), published = 0, before = delivered;
    uint64_t folds = folded, holes = gaps, talk = others, lost = closed, read_before = reads;
    uint64_t began = now(), end = began + (uint64_t)(seconds * 1e9), due = began;
    uint64_t cpu = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
    bool is_open = !strcmp(kind, "open"), is_closed = !strcmp(kind, "closed");
    timing = is_open;
    sample_count = 0;
    idle_ns = 0;
    turned_at = began;
    for (uint64_t time = began; time < end; time = now()) {
        while (is_open && due <= time && publish(batch)) {
            published += (uint64_t)batch;
            due += (uint64_t)(1e9 * batch / pace);
        }
        while (is_closed && published - (delivered - before + fan - 1) / fan + (uint64_t)batch <= (uint64_t)pace
               && publish(batch))
            published += (uint64_t)batch;
        turn(is_open || is_closed ? 0 : 20);
    }
    double took = (double)(now() - began) / 1e9, idle = (double)idle_ns / 1e9 / took;
    double used = (double)(clock_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu) / 1e9 / took;
    uint64_t in_time = delivered - before, read_count = reads - read_before;
    for (uint64_t limit = now() + DRAIN_SECONDS * SECOND; delivered - before < published * fan && now() < limit;)
        turn(0);
    timing = false;
    printf("{\"phase\":\"%s\",\"seconds\":%.6f,\"owed\":%" PRIu64 ",\"delivered\":%" PRIu64
           ",\"in_time\":%" PRIu64 ",\"reads\":%" PRIu64 ",\"folded\":%" PRIu64 ",\"gaps\":%" PRIu64
           ",\"others\":%" PRIu64 ",\"closed\":%" PRIu64 ",\"idle\":%.4f,\"cpu\":%.4f",
           kind, took, published * fan, delivered - before, in_time, read_count, folded - folds,
           gaps - holes, others - talk, closed - lost, idle, used);
    tell_times();
    puts("}");
    fflush(stdout);
}

static void read_arguments(int count, char **given) {
    for (int option; (option = getopt(count, given, "p:n:t:d:k:")) != -1;) {
        if (option == 'p') port = atoi(optarg);
        else if (option == 'n') socket_count = atoi(optarg);
        else if (option == 't') topic_count = atoi(optarg);
        else if (option == 'k') token = optarg;
        else if (option != 'd') fail("unknown option");
        else dialect = dialect_named(optarg);
    }
    if (port <= 0 || topic_count < 1 || socket_count % topic_count) fail("SOCKETS must be a multiple of TOPICS");
}

int main(int count, char **given) {
    char line[256], kind[16];
    read_arguments(count, given);
    clients = calloc((size_t)socket_count + 1, sizeof *clients);
    topics = calloc((size_t)topic_count, sizeof *topics);
    samples = malloc(MOST_SAMPLES * sizeof *samples);
    incoming = malloc(HELD_BYTES + READ_BYTES);
    poller = epoll_create1(0);
    if (!clients || !topics || !samples || !incoming || poller < 0) fail("no memory");
    publisher = &clients[socket_count];
    for (int i = 0; i < topic_count; i++) name_topic(i, &topics[i]);
    connect_all();
    while (fgets(line, sizeof line, stdin)) {
        double seconds = 0, pace = 1;
        int batch = 1;
        if (sscanf(line, "%15s %lf %lf %d", kind, &seconds, &pace, &batch) >= 2)
            run(kind, seconds, pace, batch);
    }
    return 0;
}
