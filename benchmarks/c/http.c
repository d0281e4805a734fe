/* A closed-loop HTTP/1.1 generator: one thread, epoll, keep-alive, busy polling.
 *
 *     http PORT CONNECTIONS WARM_SECONDS SECONDS STATUS FILE
 *
 * FILE holds one whole request. Ten '@' in a row, if it has them, become a number that no
 * other request of this run has. Each connection has one request outstanding; the next one
 * leaves when the answer has come whole (by its Content-Length). The status must be STATUS.
 *
 * Standard output: "go" when the warm-up is over, so that whoever measures the server can
 * begin, then one line of JSON. `idle` is the share of the measured time in which no answer
 * was there to be read: near 0 would mean that this program is the limit.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MARK = 10, ROOM = 65536, SILENT_SECONDS = 20 };

struct line {
    int fd;
    uint64_t sent;          /* when its request left, in ns */
    size_t held;            /* bytes of the answer so far */
    char answer[ROOM];
};

static char request[ROOM];
static size_t request_size;
static char *mark;          /* where the number goes, or NULL */
static uint64_t number;

static uint32_t *samples;   /* latencies of the measured time, in units of 100 ns */
static size_t count, room;
static uint64_t strange;    /* answers with another status */

static void fail(const char *what) {
    fprintf(stderr, "http: %s: %s\n", what, strerror(errno));
    exit(1);
}

static uint64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void load_request(const char *path) {
    FILE *file = fopen(path, "rb");
    if (!file) fail(path);
    request_size = fread(request, 1, ROOM - 1, file);
    fclose(file);
    mark = strstr(request, "@@@@@@@@@@");
}

static void send_next(struct line *line) {
    if (mark) {
        char digits[MARK + 1];
        snprintf(digits, sizeof digits, "%010llu", (unsigned long long)number++);
        memcpy(mark, digits, MARK);
    }
    line->held = 0;
    line->sent = now();
    if (send(line->fd, request, request_size, MSG_NOSIGNAL) != (ssize_t)request_size) fail("send");
}

static int connected(int port) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to) < 0) fail("connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    return fd;
}

/* The size of the whole answer, or 0 while its head has not come. */
static size_t whole(struct line *line) {
    line->answer[line->held] = 0;
    char *end = strstr(line->answer, "\r\n\r\n");
    if (!end) return 0;
    char *length = strcasestr(line->answer, "\r\ncontent-length:");
    if (!length || length > end) {
        fprintf(stderr, "http: an answer without Content-Length:\n%s\n", line->answer);
        exit(1);
    }
    return (size_t)(end + 4 - line->answer) + strtoul(length + 17, NULL, 10);
}

static void note(struct line *line, uint64_t at, int status) {
    if (atoi(line->answer + 9) != status && strange++ == 0)
        fprintf(stderr, "http: expected %d, found:\n%.800s\n", status, line->answer);
    if (count == room) {
        room = room ? 2 * room : 1 << 20;
        samples = realloc(samples, room * sizeof *samples);
        if (!samples) fail("realloc");
    }
    samples[count++] = (uint32_t)((at - line->sent) / 100);
}

/* Read what is there; 1 when the answer is whole. */
static int read_some(struct line *line) {
    ssize_t got = recv(line->fd, line->answer + line->held, ROOM - 1 - line->held, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return 0;
    if (got <= 0) fail("the server closed a connection");
    line->held += (size_t)got;
    size_t size = whole(line);
    return size && line->held >= size;
}

static int by_size(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static double at_ms(double place) {
    size_t index = (size_t)((double)count * place);
    return count ? samples[index < count ? index : count - 1] / 1e4 : 0;
}

static void report(double seconds, double idle) {
    qsort(samples, count, sizeof *samples, by_size);
    printf("{\"requests\":%zu,\"seconds\":%.6f,\"idle\":%.4f,\"strange\":%llu,"
           "\"p50_ms\":%.4f,\"p99_ms\":%.4f,\"max_ms\":%.4f}\n",
           count, seconds, idle, (unsigned long long)strange, at_ms(0.5), at_ms(0.99), at_ms(1));
}

int main(int argc, char **argv) {
    if (argc != 7) return fprintf(stderr, "http PORT CONNECTIONS WARM SECONDS STATUS FILE\n"), 2;
    int port = atoi(argv[1]), connections = atoi(argv[2]), status = atoi(argv[5]);
    uint64_t warm = (uint64_t)(atof(argv[3]) * 1e9), length = (uint64_t)(atof(argv[4]) * 1e9);
    load_request(argv[6]);
    int poll = epoll_create1(0);
    struct line *lines = calloc((size_t)connections, sizeof *lines);
    if (poll < 0 || !lines) fail("start");
    for (int i = 0; i < connections; i++) {
        struct epoll_event want = {.events = EPOLLIN, .data.ptr = &lines[i]};
        lines[i].fd = connected(port);
        if (epoll_ctl(poll, EPOLL_CTL_ADD, lines[i].fd, &want) < 0) fail("epoll_ctl");
        send_next(&lines[i]);
    }
    uint64_t began = now() + warm, last = now(), heard = last, idle = 0;
    int measuring = 0;
    struct epoll_event ready[256];
    for (;;) {
        int found = epoll_wait(poll, ready, 256, 0);
        uint64_t at = now();
        if (found < 0 && errno != EINTR) fail("epoll_wait");
        if (!measuring && at >= began) {
            measuring = 1, count = 0, idle = 0, began = last = at;
            puts("go"), fflush(stdout);
        }
        if (measuring && at >= began + length) break;
        if (found > 0) heard = at;
        else idle += at - last;
        if (at - heard > SILENT_SECONDS * 1000000000ull) fail("no answer for long");
        for (int i = 0; i < found; i++) {
            struct line *line = ready[i].data.ptr;
            if (!read_some(line)) continue;
            note(line, now(), status);
            send_next(line);
        }
        last = found > 0 ? now() : at;
    }
    double seconds = (double)(now() - began) / 1e9;
    report(seconds, (double)idle / 1e9 / seconds);
    return 0;
}
