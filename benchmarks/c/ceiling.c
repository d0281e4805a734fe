/* ceiling: what the kernel leaves to any server that writes each frame by itself.
 *
 *     ceiling PORT BYTES
 *
 * An epoll server of one thread that understands exactly what load.c says in its `raw`
 * dialect. Of an event it makes one frame of BYTES bytes of text, and hands it to every
 * follower of the topic with one send(). It knows no other client, keeps no state but the
 * lists of followers, and ends with an error rather than lose a frame.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define MOST_TOPICS 10000
#define INPUT_BYTES 4096
#define EVENTS_AT_ONCE 1024

/* The answer to the one key that load.c sends. */
static const char UPGRADED[] =
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Accept: 0jhQ2wG6X0rdusTeYFL7tI9iO/U=\r\n\r\n\x81\x02ok";

struct client {
    int fd, topic;            /* topic -1: the one that publishes */
    struct client *next, **link;
    bool upgraded;
    size_t size;
    char input[INPUT_BYTES];
};

static struct client *followers[MOST_TOPICS];
static uint64_t seqs[MOST_TOPICS];
static size_t event_bytes;

static void fail(const char *format, ...) {
    va_list given;
    va_start(given, format);
    fputs("ceiling: ", stderr);
    vfprintf(stderr, format, given);
    fputc('\n', stderr);
    exit(1);
}

static void join(struct client *client, int topic) {
    if (topic < 0 || topic >= MOST_TOPICS) fail("no such topic: %d", topic);
    client->topic = topic;
    client->link = &followers[topic];
    client->next = followers[topic];
    if (client->next) client->next->link = &client->next;
    followers[topic] = client;
}

static void drop(struct client *client) {
    if (client->link) *client->link = client->next;
    if (client->next) client->next->link = client->link;
    close(client->fd);
    free(client);
}

/* The event of all peers (see peers/event.py): filled up to its size by its last field. */
static size_t make_frame(char *frame, size_t room, int topic, const char *stamp) {
    int begun = snprintf(frame + 4, room - 4,
        "{\"topic\":\"bench-%04d\",\"seq\":%llu,\"type\":\"progress\",\"status\":\"processing\","
        "\"progress\":0.421337,\"attempt\":1,\"step\":42,\"steps\":100,\"message\":\"%s\",\"filler\":\"",
        topic, (unsigned long long)++seqs[topic], stamp);
    size_t size = (size_t)begun;
    while (size + 2 < event_bytes) frame[4 + size++] = '.';
    memcpy(frame + 4 + size, "\"}", 2);
    size += 2;
    frame[0] = (char)0x81;
    frame[1] = 126;
    frame[2] = (char)(size >> 8);
    frame[3] = (char)size;
    return 4 + size;
}

static void publish(int topic, const char *stamp) {
    char frame[1024];
    size_t size = make_frame(frame, sizeof frame, topic, stamp);
    for (struct client *client = followers[topic]; client; client = client->next)
        if (send(client->fd, frame, size, MSG_NOSIGNAL) != (ssize_t)size)
            fail("a frame was not taken whole: %s", strerror(errno));
}

/* "FIRST COUNT TOPICS STAMP": COUNT events, one after the other, on topics FIRST, FIRST + 1
 * and so on, where 0 follows TOPICS - 1. */
static void obey(const char *order) {
    int first, count, topics;
    char stamp[32];
    if (sscanf(order, "%d %d %d %31s", &first, &count, &topics, stamp) != 4)
        fail("not an order: %s", order);
    for (int i = 0; i < count; i++) publish((first + i) % topics, stamp);
}

static void upgrade(struct client *client) {
    char *end = memmem(client->input, client->size, "\r\n\r\n", 4);
    if (!end) return;
    if (!memcmp(client->input, "GET /follow/", 12)) join(client, atoi(client->input + 12));
    client->upgraded = true;
    client->size = 0; /* nobody goes on before the answer */
    if (send(client->fd, UPGRADED, sizeof UPGRADED - 1, MSG_NOSIGNAL) < 0) fail("upgrade");
}

/* Whole masked frames of fewer than 126 bytes; the rest waits. */
static void parse(struct client *client) {
    size_t at = 0;
    while (client->size - at >= 6) {
        unsigned char *head = (unsigned char *)client->input + at;
        size_t size = head[1] & 127;
        char order[128];
        if (size > 125) fail("an order of more than 125 bytes");
        if (client->size - at < 6 + size) break;
        for (size_t i = 0; i < size; i++) order[i] = (char)(head[6 + i] ^ head[2 + (i & 3)]);
        order[size] = 0;
        if ((head[0] & 15) == 1) obey(order);
        at += 6 + size;
    }
    memmove(client->input, client->input + at, client->size - at);
    client->size -= at;
}

static void serve(struct client *client) {
    ssize_t got = recv(client->fd, client->input + client->size, INPUT_BYTES - client->size, 0);
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) {
        drop(client);
        return;
    }
    client->size += (size_t)got;
    if (client->upgraded) parse(client);
    else upgrade(client);
}

static void welcome(int listener, int poller) {
    int on = 1, fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
    if (fd < 0) return;
    struct client *client = calloc(1, sizeof *client);
    if (!client) fail("no memory");
    client->fd = fd;
    client->topic = -1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = client};
    if (epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event)) fail("epoll: %s", strerror(errno));
}

static int listen_on(int port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int on = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 4096))
        fail("port %d: %s", port, strerror(errno));
    return listener;
}

int main(int count, char **given) {
    static struct epoll_event events[EVENTS_AT_ONCE];
    struct rlimit files;
    if (count != 3) fail("PORT BYTES");
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    event_bytes = (size_t)atoi(given[2]);
    if (event_bytes > 1000) fail("an event of more than 1000 bytes");
    int poller = epoll_create1(0), listener = listen_on(atoi(given[1]));
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    epoll_ctl(poller, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        int ready = epoll_wait(poller, events, EVENTS_AT_ONCE, -1);
        for (int i = 0; i < ready; i++) {
            if (events[i].data.ptr) serve(events[i].data.ptr);
            else welcome(listener, poller);
        }
    }
}
