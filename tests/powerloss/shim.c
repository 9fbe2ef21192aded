/* The power-loss layer's ear: an LD_PRELOAD library that writes down, in one order, every change that a process makes
 * to files below $POWERLOSS_ROOT and every sync, into $POWERLOSS_TRACE. trace.py reads it.
 *
 * A change is written down after it happened and before its caller goes on, the begin of a sync before the sync and its
 * end after it; names change one at a time. So a sync's begin stands behind every change that the syncing program can rely on, and nothing else is
 * taken for durable. Shared memory mappings are not heard; SQLite keeps nothing durable in one.
 *
 * record: stamp_ns u64 (CLOCK_MONOTONIC) | op u32 | first u32 | second u32 | pad u32 | inode u64 | a u64 | b u64,
 *         then `first` bytes and `second` bytes; little-endian, as the machine has it
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { CREATE = 1, WRITE, SYNC_BEGIN, SYNC_END, TRUNCATE, EXTEND, RENAME, LINK, UNLINK, MKDIR, RMDIR };

struct record {
    uint64_t stamp_ns;
    uint32_t op, first, second, pad;
    uint64_t inode, a, b;
};

#define FDS 65536
static char watched[FDS];
static pthread_mutex_t order = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t names = PTHREAD_MUTEX_INITIALIZER; /* held while a name changes and is written down */
static int trace = -2;
static char root[PATH_MAX];
static size_t root_length;
static uint64_t syncs;

#define REAL(result, name, ...) \
    static result (*real)(__VA_ARGS__); \
    if (!real) real = (result (*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)

static void open_trace(void) {
    const char *path = getenv("POWERLOSS_TRACE"), *below = getenv("POWERLOSS_ROOT");
    trace = -1;
    if (!path || !below || strlen(below) >= sizeof root) return;
    strcpy(root, below);
    root_length = strlen(root);
    int fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (fd < 0) abort();
    trace = (int)syscall(SYS_fcntl, fd, F_DUPFD_CLOEXEC, 900);
    syscall(SYS_close, fd);
    if (trace < 0) abort();
}

static int listening(void) {
    if (trace == -2) {
        pthread_mutex_lock(&order);
        if (trace == -2) open_trace();
        pthread_mutex_unlock(&order);
    }
    return trace >= 0;
}

static void put(uint32_t op, uint64_t inode, uint64_t a, uint64_t b, const void *first, size_t first_size,
                const struct iovec *second, int count, size_t second_size) {
    int saved = errno;
    struct record head = {0, op, (uint32_t)first_size, (uint32_t)second_size, 0, inode, a, b};
    char *whole = malloc(sizeof head + first_size + second_size), *at = whole + sizeof head;
    if (!whole) abort();
    if (first_size) memcpy(at, first, first_size);
    at += first_size;
    size_t left = second_size;
    for (int i = 0; i < count && left; i++) {
        size_t part = second[i].iov_len < left ? second[i].iov_len : left;
        memcpy(at, second[i].iov_base, part);
        at += part;
        left -= part;
    }
    pthread_mutex_lock(&order);
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    head.stamp_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
    memcpy(whole, &head, sizeof head);
    size_t size = sizeof head + first_size + second_size, done = 0;
    while (done < size) {
        long wrote = syscall(SYS_write, trace, whole + done, size - done);
        if (wrote < 0 && errno != EINTR) abort();
        if (wrote > 0) done += (size_t)wrote;
    }
    pthread_mutex_unlock(&order);
    free(whole);
    errno = saved;
}

static void put_paths(uint32_t op, uint64_t inode, const char *one, const char *two) {
    struct iovec second = {(void *)two, two ? strlen(two) : 0};
    put(op, inode, 0, 0, one, strlen(one), &second, two ? 1 : 0, second.iov_len);
}

static int below_root(const char *path) {
    return listening() && strncmp(path, root, root_length) == 0 && (path[root_length] == '/' || !path[root_length]);
}

/* The absolute path of `path` as seen from `dirfd`; 1 when it is below the root. */
static int find(int dirfd, const char *path, char *whole) {
    char base[PATH_MAX], link[64];
    if (!path || !listening()) return 0;
    if (path[0] == '/') {
        snprintf(whole, PATH_MAX, "%s", path);
    } else {
        if (dirfd == AT_FDCWD) {
            if (!getcwd(base, sizeof base)) return 0;
        } else {
            snprintf(link, sizeof link, "/proc/self/fd/%d", dirfd);
            ssize_t n = readlink(link, base, sizeof base - 1);
            if (n < 0) return 0;
            base[n] = 0;
        }
        if (snprintf(whole, PATH_MAX, "%s/%s", base, path) >= PATH_MAX) return 0;
    }
    return below_root(whole);
}

static int is_watched(int fd) { return fd >= 0 && fd < FDS && watched[fd] && listening(); }

static uint64_t inode_of(int fd) {
    struct stat about;
    return fstat(fd, &about) ? 0 : (uint64_t)about.st_ino;
}

/* ---- opening ---- */

static int opened(int dirfd, const char *path, int flags, mode_t mode) {
    char whole[PATH_MAX];
    struct stat before;
    int ours = find(dirfd, path, whole), changes = ours && (flags & (O_CREAT | O_TRUNC)), there = 0;
    if (changes) {
        pthread_mutex_lock(&names);
        there = fstatat(dirfd, path, &before, 0) == 0;
    }
    int fd = (int)syscall(SYS_openat, dirfd, path, flags, mode);
    if (fd >= 0 && fd < FDS) {
        watched[fd] = (char)ours;
        if (changes && !there) put_paths(CREATE, inode_of(fd), whole, NULL);
        if (changes && there && (flags & O_TRUNC)) put(TRUNCATE, inode_of(fd), 0, 0, NULL, 0, NULL, 0, 0);
    }
    if (changes) pthread_mutex_unlock(&names);
    return fd;
}

#define MODE(flags, last) \
    mode_t mode = 0; \
    if ((flags) & (O_CREAT | O_TMPFILE)) { \
        va_list more; \
        va_start(more, last); \
        mode = va_arg(more, mode_t); \
        va_end(more); \
    }

int open(const char *path, int flags, ...) { MODE(flags, flags) return opened(AT_FDCWD, path, flags, mode); }
int open64(const char *path, int flags, ...) { MODE(flags, flags) return opened(AT_FDCWD, path, flags | O_LARGEFILE, mode); }
int openat(int dirfd, const char *path, int flags, ...) { MODE(flags, flags) return opened(dirfd, path, flags, mode); }
int openat64(int dirfd, const char *path, int flags, ...) { MODE(flags, flags) return opened(dirfd, path, flags | O_LARGEFILE, mode); }
int creat(const char *path, mode_t mode) { return opened(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode); }
int creat64(const char *path, mode_t mode) { return opened(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode); }

int close(int fd) {
    if (fd >= 0 && fd < FDS) watched[fd] = 0;
    return (int)syscall(SYS_close, fd);
}

/* ---- writing ---- */

static ssize_t wrote(int fd, const struct iovec *parts, int count, off_t at, ssize_t size) {
    if (size > 0 && is_watched(fd)) {
        if (at < 0) at = lseek(fd, 0, SEEK_CUR) - size;
        put(WRITE, inode_of(fd), (uint64_t)at, 0, NULL, 0, parts, count, (size_t)size);
    }
    return size;
}

ssize_t write(int fd, const void *data, size_t size) {
    REAL(ssize_t, "write", int, const void *, size_t);
    struct iovec one = {(void *)data, size};
    return wrote(fd, &one, 1, -1, real(fd, data, size));
}
ssize_t writev(int fd, const struct iovec *parts, int count) {
    REAL(ssize_t, "writev", int, const struct iovec *, int);
    return wrote(fd, parts, count, -1, real(fd, parts, count));
}
#define PWRITE(name) \
    ssize_t name(int fd, const void *data, size_t size, off_t at) { \
        REAL(ssize_t, #name, int, const void *, size_t, off_t); \
        struct iovec one = {(void *)data, size}; \
        return wrote(fd, &one, 1, at, real(fd, data, size, at)); \
    }
#define PWRITEV(name) \
    ssize_t name(int fd, const struct iovec *parts, int count, off_t at) { \
        REAL(ssize_t, #name, int, const struct iovec *, int, off_t); \
        return wrote(fd, parts, count, at, real(fd, parts, count, at)); \
    }
/* A write that syncs is heard as a write and a sync: a cut may come between them. */
#define PWRITEV2(name) \
    ssize_t name(int fd, const struct iovec *parts, int count, off_t at, int flags) { \
        REAL(ssize_t, #name, int, const struct iovec *, int, off_t, int); \
        int syncs_too = flags & (RWF_DSYNC | RWF_SYNC); \
        ssize_t result = wrote(fd, parts, count, at, real(fd, parts, count, at, flags & ~syncs_too)); \
        return syncs_too && result >= 0 && fdatasync(fd) ? -1 : result; \
    }
PWRITE(pwrite)
PWRITE(pwrite64)
PWRITEV(pwritev)
PWRITEV(pwritev64)
PWRITEV2(pwritev2)
PWRITEV2(pwritev64v2)

/* ---- sizes ---- */

#define FTRUNCATE(name) \
    int name(int fd, off_t size) { \
        REAL(int, #name, int, off_t); \
        int result = real(fd, size); \
        if (!result && is_watched(fd)) put(TRUNCATE, inode_of(fd), (uint64_t)size, 0, NULL, 0, NULL, 0, 0); \
        return result; \
    }
FTRUNCATE(ftruncate)
FTRUNCATE(ftruncate64)

#define ALLOCATE(name) \
    int name(int fd, off_t at, off_t size) { \
        REAL(int, #name, int, off_t, off_t); \
        int result = real(fd, at, size); \
        if (!result && is_watched(fd)) put(EXTEND, inode_of(fd), (uint64_t)(at + size), 0, NULL, 0, NULL, 0, 0); \
        return result; \
    }
ALLOCATE(posix_fallocate)
ALLOCATE(posix_fallocate64)

/* ---- syncs ---- */

#define SYNC(name) \
    int name(int fd) { \
        REAL(int, #name, int); \
        if (!is_watched(fd)) return real(fd); \
        char link[64], path[PATH_MAX]; \
        struct stat about; \
        if (fstat(fd, &about)) return real(fd); \
        snprintf(link, sizeof link, "/proc/self/fd/%d", fd); \
        ssize_t n = readlink(link, path, sizeof path - 1); \
        size_t length = S_ISDIR(about.st_mode) && n > 0 ? (size_t)n : 0; \
        uint64_t token = ((uint64_t)getpid() << 32) + __atomic_add_fetch(&syncs, 1, __ATOMIC_SEQ_CST); \
        put(SYNC_BEGIN, about.st_ino, token, 0, path, length, NULL, 0, 0); \
        int result = real(fd); \
        if (!result) put(SYNC_END, about.st_ino, token, 0, path, length, NULL, 0, 0); \
        return result; \
    }
SYNC(fsync)
SYNC(fdatasync)

/* ---- names ---- */

static int renamed(int from, const char *old, int to, const char *new, unsigned flags) {
    char one[PATH_MAX], two[PATH_MAX];
    int ours = find(from, old, one) && find(to, new, two);
    pthread_mutex_lock(&names);
    int result = (int)syscall(SYS_renameat2, from, old, to, new, flags);
    if (!result && ours) put_paths(RENAME, 0, one, two);
    pthread_mutex_unlock(&names);
    return result;
}
int rename(const char *old, const char *new) { return renamed(AT_FDCWD, old, AT_FDCWD, new, 0); }
int renameat(int from, const char *old, int to, const char *new) { return renamed(from, old, to, new, 0); }
int renameat2(int from, const char *old, int to, const char *new, unsigned flags) { return renamed(from, old, to, new, flags); }

static int linked(int from, const char *old, int to, const char *new, int flags) {
    char one[PATH_MAX], two[PATH_MAX];
    int ours = find(from, old, one) && find(to, new, two);
    pthread_mutex_lock(&names);
    int result = (int)syscall(SYS_linkat, from, old, to, new, flags);
    if (!result && ours) put_paths(LINK, 0, one, two);
    pthread_mutex_unlock(&names);
    return result;
}
int link(const char *old, const char *new) { return linked(AT_FDCWD, old, AT_FDCWD, new, 0); }
int linkat(int from, const char *old, int to, const char *new, int flags) { return linked(from, old, to, new, flags); }

static int unlinked(int dirfd, const char *path, int flags) {
    char whole[PATH_MAX];
    int ours = find(dirfd, path, whole);
    pthread_mutex_lock(&names);
    int result = (int)syscall(SYS_unlinkat, dirfd, path, flags);
    if (!result && ours) put_paths(flags & AT_REMOVEDIR ? RMDIR : UNLINK, 0, whole, NULL);
    pthread_mutex_unlock(&names);
    return result;
}
int unlink(const char *path) { return unlinked(AT_FDCWD, path, 0); }
int rmdir(const char *path) { return unlinked(AT_FDCWD, path, AT_REMOVEDIR); }
int unlinkat(int dirfd, const char *path, int flags) { return unlinked(dirfd, path, flags); }

static int made(int dirfd, const char *path, mode_t mode) {
    char whole[PATH_MAX];
    int ours = find(dirfd, path, whole);
    pthread_mutex_lock(&names);
    int result = (int)syscall(SYS_mkdirat, dirfd, path, mode);
    if (!result && ours) put_paths(MKDIR, 0, whole, NULL);
    pthread_mutex_unlock(&names);
    return result;
}
int mkdir(const char *path, mode_t mode) { return made(AT_FDCWD, path, mode); }
int mkdirat(int dirfd, const char *path, mode_t mode) { return made(dirfd, path, mode); }
