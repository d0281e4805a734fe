/* How load.c speaks: masked frames, and the three dialects of the servers it knows.
 *
 * A dialect is an address, a greeting that ends with the server's confirmation, and what a
 * delivery begins with. A new one is a line or two in each function below, and a name in
 * `dialect_named`. Knows nothing of what is counted, or of when anything is said.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum dialect { RAW, SOCKETIO, PHOENIX };
enum stage { CONNECTING, UPGRADING, GREETING, READY };

struct client {
    int fd, topic;
    enum stage stage;
    bool publishes;
    uint64_t seq;      /* of the last delivery; 0 before the first */
    char *held;        /* the beginning of a frame whose rest has not come */
    size_t held_size;
};

struct topic {
    char head[160];    /* what a delivery of this topic begins with, up to its seq */
    size_t head_size;
};

static enum dialect dialect = RAW;

static void fail(const char *format, ...) {
    va_list given;
    va_start(given, format);
    fputs("load: ", stderr);
    vfprintf(stderr, format, given);
    fputc('\n', stderr);
    exit(1);
}

/* Send a masked frame of up to 64 KiB. False if the socket takes nothing at all now. */
static bool say(struct client *client, int opcode, const char *text, size_t size) {
    static const unsigned char mask[4] = {0x5a, 0x17, 0xc3, 0x8e};
    unsigned char frame[1024];
    size_t head = 2;
    if (size > sizeof frame - 8) fail("too long to be said: %zu bytes", size);
    frame[0] = (unsigned char)(0x80 | opcode);
    if (size < 126) {
        frame[1] = (unsigned char)(0x80 | size);
    } else {
        frame[1] = 0x80 | 126;
        frame[2] = (unsigned char)(size >> 8);
        frame[3] = (unsigned char)size;
        head = 4;
    }
    memcpy(frame + head, mask, 4);
    head += 4;
    for (size_t i = 0; i < size; i++) frame[head + i] = (unsigned char)text[i] ^ mask[i & 3];
    for (size_t sent = 0; sent < head + size;) {
        ssize_t took = send(client->fd, frame + sent, head + size - sent, MSG_NOSIGNAL);
        if (took >= 0) sent += (size_t)took;
        else if (errno != EAGAIN) fail("send: %s", strerror(errno));
        else if (sent == 0) return false;
    }
    return true;
}

static void say_text(struct client *client, const char *text) {
    if (!say(client, 1, text, strlen(text))) fail("a new socket takes nothing");
}

/* Dialects: the address, the greeting, the form of a command and of a delivery. */

static void path_of(const struct client *client, char *path, size_t room) {
    if (dialect == SOCKETIO) snprintf(path, room, "/socket.io/?EIO=4&transport=websocket");
    else if (client->publishes) snprintf(path, room, "/bench/publish");
    else if (dialect == PHOENIX) snprintf(path, room, "/socket/websocket?vsn=2.0.0");
    else snprintf(path, room, "/follow/%d", client->topic);
}

static void name_topic(int index, struct topic *topic) {
    static const char *const heads[] = {
        [RAW] = "{\"topic\":\"bench-%04d\",\"seq\":",
        [SOCKETIO] = "42[\"progress\",{\"topic\":\"bench-%04d\",\"seq\":",
        [PHOENIX] = "[null,null,\"task:bench-%04d\",\"progress\","
                    "{\"type\":\"progress\",\"task_id\":\"bench-%04d\",\"seq\":",
    };
    snprintf(topic->head, sizeof topic->head, heads[dialect], index, index);
    topic->head_size = strlen(topic->head);
}

static bool begins(const char *text, size_t size, const char *with) {
    size_t wanted = strlen(with);
    return size >= wanted && memcmp(text, with, wanted) == 0;
}

/* The upgrade is through: ask for the topic, where that is for the client to do. */
static void greet(struct client *client) {
    char join[128];
    client->stage = GREETING;
    if (dialect != PHOENIX || client->publishes) return;
    snprintf(join, sizeof join, "[\"1\",\"1\",\"task:bench-%04d\",\"phx_join\",{}]", client->topic);
    say_text(client, join);
}

/* A frame before READY: answer it; true if it is the confirmation. */
static bool greeted(struct client *client, const char *text, size_t size) {
    char subscribe[64];
    if (dialect == PHOENIX && !client->publishes) {
        if (!memmem(text, size, "\"phx_reply\"", 11)) return false;
        if (!memmem(text, size, "\"status\":\"ok\"", 13)) fail("refused: %.*s", (int)size, text);
        return true;
    }
    if (dialect != SOCKETIO) return begins(text, size, "ok");
    if (begins(text, size, "0")) say_text(client, "40");
    if (!begins(text, size, "40")) return begins(text, size, "42[\"subscribed\"");
    if (client->publishes) return true;
    snprintf(subscribe, sizeof subscribe, "42[\"subscribe\",%d]", client->topic);
    say_text(client, subscribe);
    return false;
}

static enum dialect dialect_named(const char *name) {
    if (!strcmp(name, "socketio")) return SOCKETIO;
    if (!strcmp(name, "phoenix")) return PHOENIX;
    if (strcmp(name, "raw")) fail("no such dialect: %s", name);
    return RAW;
}
