/* Load for a WebSocket server: opens connections, sends, checks what comes back, and
 * tells what that took of the server's process.
 *
 *     load MODE [NAME=NUMBER ...]
 *
 * echo       Each connection sends a batch of messages, waits for all of them to come
 *            back, and sends the next.
 * broadcast  The first connection sends a batch, everybody gets it, and so on.
 * open       Each connection is opened, closed and opened anew.
 * idle       Some connections are opened, then more; a line on standard output tells
 *            that they are, and a line on standard input says to go on.
 *
 * It works through the mode for "warmup" milliseconds, in which it compares every byte,
 * waits until nothing is on its way, and then does the same for "duration", in which it
 * checks headers only. One line of output has the operations of that time, its
 * nanoseconds, and those that the threads of process "pid" were on a core.
 * Whatever is not as it should be ends it with status 1 and a line that says why.
 */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { PATIENCE = 20000 };   /* milliseconds without an answer */
enum { SETTLING = 300 };     /* milliseconds for all handlers to be members */
enum { OPENING_AT_ONCE = 64 }; /* less than the backlog of a listening socket */
enum { ADDRESSES = 200 };    /* 127.0.0.2 and so on: one has too few ports */
enum { HEAD_LIMIT = 4096, EVENTS = 512, BUFFER = 1 << 18 };

static const char ACCEPT[] = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

struct connection {
    int fd;
    bool open;             /* the opening handshake is done */
    bool wants_to_write;   /* as epoll knows it */
    const uint8_t *output; /* what is still to be sent */
    size_t output_left;
    char head[HEAD_LIMIT]; /* of the response, or of a frame */
    size_t head_size;
    size_t payload_left;   /* of the frame that is being read */
    const uint8_t *expected; /* its bytes, or NULL if they are not compared */
    uint8_t pong[6 + 125]; /* answer to a ping */
    size_t pong_size;
    uint64_t answers;      /* of the current batch, so far */
};

/* --- options */

enum mode { ECHO, BROADCAST, OPEN, IDLE };
static const char *const MODES[] = {"echo", "broadcast", "open", "idle"};
static enum mode mode;

static long core = -1, port, pid, connections = 1, size = 16, batch = 1;
static long deflate, warmup = 200, duration = 1000, first = 100;
static const struct {
    const char *name;
    long *value;
} OPTIONS[] = {
    {"core", &core},       {"port", &port},         {"pid", &pid},
    {"size", &size},       {"batch", &batch},       {"connections", &connections},
    {"warmup", &warmup},   {"duration", &duration}, {"first", &first},
    {"deflate", &deflate},
};

/* --- state */

static int poller;
static struct connection *all;
static uint8_t *frames;     /* a batch, masked */
static uint8_t *payloads;   /* the same without headers and mask */
static size_t frame_size, head_length;
static bool comparing, stopping;
static long opened;
static uint64_t operations;
static long busy_connections; /* that wait for answers, or are being closed */
static long missing;          /* answers to the current broadcast */

/* No byte of a masked message is 0x88, as its text is ASCII: a server that only copies
 * bytes can know by that when a connection is to be closed. */
static const uint8_t KEY[4] = {0x12, 0x34, 0x56, 0x78};
static const uint8_t CLOSE_FRAME[] = {0x88, 0x82, 0x12, 0x34, 0x56, 0x78,
                                      0x03 ^ 0x12, 0xe8 ^ 0x34};

static void fail(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    exit(1);
}

static uint64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

/* Nanoseconds that the threads of the server were on a core. */
static uint64_t busy(void) {
    char path[300];
    unsigned long long sum = 0, one;
    struct dirent *entry;
    snprintf(path, sizeof path, "/proc/%ld/task", pid);
    DIR *directory = opendir(path);
    if (directory == NULL) fail("the server, process %ld, has ended", pid);
    while ((entry = readdir(directory)) != NULL) {
        if (entry->d_name[0] == '.') continue;
        snprintf(path, sizeof path, "/proc/%ld/task/%s/schedstat", pid, entry->d_name);
        FILE *file = fopen(path, "r");
        if (file == NULL) continue;
        if (fscanf(file, "%llu", &one) == 1) sum += one;
        fclose(file);
    }
    closedir(directory);
    return sum;
}

/* --- what is sent */

static size_t write_head(uint8_t *target) {
    size_t length = 0;
    target[length++] = 0x82;
    if (size < 126) {
        target[length++] = (uint8_t)(0x80 | size);
    } else {
        int octets = size < 65536 ? 2 : 8;
        target[length++] = octets == 2 ? 0x80 | 126 : 0x80 | 127;
        for (int i = octets - 1; i >= 0; i--)
            target[length++] = (uint8_t)((uint64_t)size >> (8 * i));
    }
    memcpy(target + length, KEY, sizeof KEY);
    return length + sizeof KEY;
}

/* Every message of a batch is another one, so that a lost or swapped one shows. */
static void build_frames(void) {
    uint8_t head[14];
    uint32_t random = 2463534242u;
    head_length = write_head(head);
    frame_size = head_length + (size_t)size;
    frames = malloc(frame_size * (size_t)batch);
    payloads = malloc((size_t)size * (size_t)batch + 1);
    if (frames == NULL || payloads == NULL) fail("no memory");
    for (long number = 0; number < batch; number++) {
        uint8_t *frame = frames + (size_t)number * frame_size;
        uint8_t *payload = payloads + number * size;
        memcpy(frame, head, head_length);
        for (long i = 0; i < size; i++) {
            random ^= random << 13, random ^= random >> 17, random ^= random << 5;
            payload[i] = (uint8_t)('!' + random % 90);
            frame[head_length + (size_t)i] = payload[i] ^ KEY[i % 4];
        }
    }
}

static void watch(struct connection *one, int operation) {
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = one};
    if (one->wants_to_write) event.events |= EPOLLOUT;
    if (epoll_ctl(poller, operation, one->fd, &event) < 0)
        fail("epoll_ctl: %s", strerror(errno));
}

static void write_on(struct connection *one) {
    while (one->output_left > 0) {
        ssize_t sent = send(one->fd, one->output, one->output_left, MSG_NOSIGNAL);
        if (sent < 0 && errno == EAGAIN) break;
        if (sent < 0) fail("the server ended a connection: %s", strerror(errno));
        one->output += sent;
        one->output_left -= (size_t)sent;
    }
    if (one->wants_to_write != (one->output_left > 0)) {
        one->wants_to_write = !one->wants_to_write;
        watch(one, EPOLL_CTL_MOD);
    }
}

static void send_bytes(struct connection *one, const void *data, size_t length) {
    one->output = data;
    one->output_left = length;
    write_on(one);
}

static void send_request(struct connection *one) {
    static const char plain[] =
        "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        "Sec-WebSocket-Version: 13\r\n";
    static const char offer[] = "Sec-WebSocket-Extensions: permessage-deflate; "
                                "client_max_window_bits\r\n";
    static char request[sizeof plain + sizeof offer + 2];
    snprintf(request, sizeof request, "%s%s\r\n", plain, deflate ? offer : "");
    send_bytes(one, request, strlen(request));
}

static void begin(struct connection *one) {
    struct sockaddr_in address = {.sin_family = AF_INET};
    int on = 1;
    memset(one, 0, sizeof *one);
    one->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (one->fd < 0) fail("socket: %s", strerror(errno));
    setsockopt(one->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(one->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    address.sin_addr.s_addr =
        htonl(INADDR_LOOPBACK + 1 + (uint32_t)((one - all) % ADDRESSES));
    if (bind(one->fd, (struct sockaddr *)&address, sizeof address) < 0)
        fail("bind: %s", strerror(errno));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons((uint16_t)port);
    if (connect(one->fd, (struct sockaddr *)&address, sizeof address) < 0)
        fail("connect: %s", strerror(errno));
    fcntl(one->fd, F_SETFL, O_NONBLOCK);
    watch(one, EPOLL_CTL_ADD);
    send_request(one);
}

/* --- what a connection does next */

static void next_batch(struct connection *one) {
    one->answers = 0;
    missing = connections * batch;
    if (stopping)
        busy_connections--;
    else
        send_bytes(one, frames, frame_size * (size_t)batch);
}

static void got_message(struct connection *one) {
    operations++;
    if (mode == ECHO) {
        if (++one->answers == (uint64_t)batch) next_batch(one);
    } else if (mode == BROADCAST) {
        one->answers = (one->answers + 1) % (uint64_t)batch;
        if (--missing == 0) next_batch(&all[0]);
    } else {
        fail("a message that nobody asked for");
    }
}

static void got_ping(struct connection *one) {
    one->pong[0] = 0x8a;
    one->pong[1] = (uint8_t)(0x80 | (one->pong_size - 6));
    memcpy(one->pong + 2, KEY, sizeof KEY);
    /* Other bytes that are still on their way are sign of life enough. */
    if (one->output_left == 0) send_bytes(one, one->pong, one->pong_size);
}

static void got_end(struct connection *one) {
    if (mode != OPEN || !one->open)
        fail("the server ended a connection: %.*s", (int)one->head_size, one->head);
    close(one->fd);
    operations++;
    if (stopping)
        busy_connections--;
    else
        begin(one);
}

static void got_response(struct connection *one) {
    bool agreed = strcasestr(one->head, "permessage-deflate") != NULL;
    if (strncmp(one->head, "HTTP/1.1 101 ", 13) != 0 || !strstr(one->head, ACCEPT))
        fail("not the response to the opening handshake: %.300s", one->head);
    if (agreed != (deflate != 0))
        fail("permessage-deflate was %s", agreed ? "not offered" : "refused");
    one->open = true;
    one->head_size = 0;
    opened++;
    if (mode == OPEN) send_bytes(one, CLOSE_FRAME, sizeof CLOSE_FRAME);
}

/* --- what is received */

/* Take bytes of the response; return how many. */
static size_t read_response(struct connection *one, const char *data, size_t length) {
    size_t taken = 0;
    while (taken < length) {
        if (one->head_size == HEAD_LIMIT - 1) fail("a response without end");
        one->head[one->head_size++] = data[taken++];
        one->head[one->head_size] = 0;
        if (one->head_size >= 4 &&
            memcmp(one->head + one->head_size - 4, "\r\n\r\n", 4) == 0) {
            got_response(one);
            break;
        }
    }
    return taken;
}

/* The bytes of a header that are needed, as far as those that are there can tell. */
static size_t header_size(const struct connection *one) {
    const uint8_t *head = (const uint8_t *)one->head;
    if (one->head_size < 2) return 2;
    size_t octets = (head[1] & 127) == 127 ? 8 : (head[1] & 127) == 126 ? 2 : 0;
    return 2 + octets + (head[1] & 128 ? 4 : 0);
}

/* A frame begins; a server that only copies bytes sends it masked. */
static void got_header(struct connection *one) {
    const uint8_t *head = (const uint8_t *)one->head;
    bool masked = head[1] & 128;
    uint64_t length = head[1] & 127;
    if (length >= 126) {
        int octets = length == 126 ? 2 : 8;
        length = 0;
        for (int i = 0; i < octets; i++) length = length << 8 | head[2 + i];
    }
    if (length < 126 && (head[0] == 0x89 || (head[0] == 0x88 && mode == OPEN))) {
        one->payload_left = length;
        one->expected = NULL;
        one->pong_size = 6;
    } else if (head[0] != 0x82 || length != (uint64_t)size) {
        fail("a frame that was not sent: %02x, %llu bytes", head[0],
             (unsigned long long)length);
    } else {
        uint64_t number = one->answers;
        one->payload_left = length;
        one->expected = !comparing ? NULL
                        : masked   ? frames + number * frame_size + head_length
                                   : payloads + number * length;
    }
}

/* Take bytes of frames; return how many. */
static size_t read_frame(struct connection *one, const char *data, size_t length) {
    size_t taken = 0;
    if (one->payload_left == 0) {
        while (one->head_size < header_size(one)) {
            if (taken == length) return taken;
            one->head[one->head_size++] = data[taken++];
        }
        got_header(one);
    }
    size_t part = length - taken < one->payload_left ? length - taken : one->payload_left;
    if (one->head[0] & 8) {
        for (size_t i = taken; i < taken + part; i++, one->pong_size++)
            one->pong[one->pong_size] = (uint8_t)data[i] ^ KEY[(one->pong_size - 6) % 4];
    } else if (one->expected != NULL) {
        if (memcmp(one->expected, data + taken, part) != 0)
            fail("a message came back changed");
        one->expected += part;
    }
    one->payload_left -= part;
    if (one->payload_left == 0) {
        one->head_size = 0;
        if ((uint8_t)one->head[0] == 0x89)
            got_ping(one);
        else if (!(one->head[0] & 8))
            got_message(one);
    }
    return taken + part;
}

static void read_on(struct connection *one) {
    static char buffer[BUFFER];
    ssize_t length = recv(one->fd, buffer, sizeof buffer, 0);
    if (length < 0 && errno == EAGAIN) return;
    if (length < 0) fail("the server ended a connection: %s", strerror(errno));
    if (length == 0) got_end(one);
    for (size_t taken = 0; taken < (size_t)length;) {
        size_t left = (size_t)length - taken;
        taken += one->open ? read_frame(one, buffer + taken, left)
                           : read_response(one, buffer + taken, left);
    }
}

static void turn(void) {
    struct epoll_event events[EVENTS];
    int count = epoll_wait(poller, events, EVENTS, PATIENCE);
    if (count < 0 && errno != EINTR) fail("epoll_wait: %s", strerror(errno));
    if (count == 0) fail("no answer, %ld connections were open", opened);
    for (int i = 0; i < count; i++) {
        struct connection *one = events[i].data.ptr;
        if (events[i].events & EPOLLOUT) write_on(one);
        if (events[i].events & ~(unsigned)EPOLLOUT) read_on(one);
    }
}

/* --- the whole */

static void open_connections(long until) {
    static long begun;
    while (opened < until) {
        while (begun < until && begun - opened < OPENING_AT_ONCE) begin(&all[begun++]);
        turn();
    }
}

/* Do what the mode says for some milliseconds, and wait until nothing is on its way. */
static void work(long milliseconds) {
    uint64_t end = now() + (uint64_t)milliseconds * 1000000u;
    operations = 0;
    stopping = false;
    busy_connections = mode == BROADCAST ? 1 : connections;
    for (long i = 0; i < busy_connections; i++)
        mode == OPEN ? begin(&all[i]) : next_batch(&all[i]);
    uint64_t done = 0, since = now(), current;
    while (busy_connections > 0) {
        turn();
        stopping = (current = now()) >= end;
        if (operations != done) done = operations, since = current;
        if (current - since > PATIENCE * 1000000ull)
            fail("%ld connections wait in vain", busy_connections);
    }
}

/* Close all connections, so that no server has a loss to report. */
static void leave(void) {
    mode = OPEN;
    stopping = true;
    busy_connections = connections;
    for (long i = 0; i < connections; i++)
        send_bytes(&all[i], CLOSE_FRAME, sizeof CLOSE_FRAME);
    while (busy_connections > 0) turn();
}

static void say_and_wait(void) {
    printf("%ld\n", opened);
    fflush(stdout);
    if (getchar() == EOF) exit(0);
}

static void idle(void) {
    open_connections(first < connections ? first : connections);
    say_and_wait();
    open_connections(connections);
    say_and_wait();
}

static void measure(void) {
    if (mode != OPEN) open_connections(connections);
    if (mode == BROADCAST) usleep(SETTLING * 1000);
    comparing = true;
    work(warmup);
    comparing = false;
    uint64_t start = now(), spent = busy();
    work(duration);
    uint64_t elapsed = now() - start;
    spent = busy() - spent;
    printf("%llu %llu %llu\n", (unsigned long long)operations,
           (unsigned long long)elapsed, (unsigned long long)spent);
    if (mode != OPEN) leave();
}

static void set_option(const char *argument) {
    const char *equals = strchr(argument, '=');
    for (size_t i = 0; equals && i < sizeof OPTIONS / sizeof *OPTIONS; i++) {
        size_t length = strlen(OPTIONS[i].name);
        if (length == (size_t)(equals - argument) &&
            strncmp(argument, OPTIONS[i].name, length) == 0) {
            *OPTIONS[i].value = atol(equals + 1);
            return;
        }
    }
    fail("no such option: %s", argument);
}

static void set_mode(const char *name) {
    while (strcmp(name, MODES[mode]) != 0)
        if (mode++ == IDLE) fail("no such mode: %s", name);
}

int main(int count, char **arguments) {
    struct rlimit files;
    if (count < 2) fail("usage: load MODE [NAME=NUMBER ...]");
    set_mode(arguments[1]);
    for (int i = 2; i < count; i++) set_option(arguments[i]);
    if (core >= 0) {
        cpu_set_t cores;
        CPU_ZERO(&cores);
        CPU_SET((size_t)core, &cores);
        if (sched_setaffinity(0, sizeof cores, &cores) < 0)
            fail("core %ld: %s", core, strerror(errno));
    }
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    poller = epoll_create1(EPOLL_CLOEXEC);
    all = calloc((size_t)connections, sizeof *all);
    if (poller < 0 || all == NULL) fail("no memory");
    build_frames();
    if (mode == IDLE)
        idle();
    else
        measure();
    return 0;
}
