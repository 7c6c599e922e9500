/* A disk that is full from some byte on, for whoever writes: Python, Rust (safetensors) and C++ (torch.save).
 *
 * Preloaded, it counts the bytes that are written to files below a folder, a new file or folder as one byte. When the
 * room is used up, writing takes what fits and then fails with ENOSPC, until more room is given.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static char folder[PATH_MAX] = "";
static long long room = -1; /* bytes; negative: any number */
static FILE *trace = NULL;  /* takes "bytes path" of every write */

/* Begin anew: a folder, how much more goes into it, and a file that takes what was written (may be empty). */
void full_disk(const char *where, long long bytes, const char *record) {
    snprintf(folder, sizeof folder, "%s", where);
    room = bytes;
    if (trace != NULL) fclose(trace);
    trace = *record ? fopen(record, "w") : NULL;
}

/* The same from the environment, for processes that somebody else starts; for one of them if a rank is given. */
__attribute__((constructor)) static void from_environment(void) {
    const char *where = getenv("FULL_DISK_FOLDER"), *bytes = getenv("FULL_DISK_ROOM");
    const char *only = getenv("FULL_DISK_RANK"), *rank = getenv("RANK");
    if (where && bytes && (!only || (rank && !strcmp(only, rank)))) full_disk(where, atoll(bytes), "");
}

static int is_below(const char *path) {
    size_t length = strlen(folder);
    return length && !strncmp(path, folder, length) && (path[length] == '/' || !path[length]);
}

/* How many bytes of a write are taken. */
static size_t taken(const char *path, size_t wanted) {
    if (!is_below(path) || !wanted) return wanted;
    if (trace != NULL) fprintf(trace, "%zu %s\n", wanted, path), fflush(trace);
    if (room < 0) return wanted;
    size_t fits = (long long)wanted <= room ? wanted : (size_t)room;
    room -= fits;
    return fits;
}

static size_t taken_of(int file, size_t wanted) {
    char link[64], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return wanted;
    path[length] = 0;
    return taken(path, wanted);
}

static int full(void) {
    errno = ENOSPC;
    return -1;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t write(int file, const void *data, size_t size) {
    size_t fits = taken_of(file, size);
    return size && !fits ? full() : REAL(write)(file, data, fits);
}

ssize_t pwrite64(int file, const void *data, size_t size, off64_t place) {
    size_t fits = taken_of(file, size);
    return size && !fits ? full() : REAL(pwrite64)(file, data, fits, place);
}

ssize_t writev(int file, const struct iovec *parts, int count) {
    /* One part after the other, so that any of them can be cut. */
    ssize_t all = 0;
    for (int i = 0; i < count; i++) {
        ssize_t done = parts[i].iov_len ? write(file, parts[i].iov_base, parts[i].iov_len) : 0;
        if (done < 0) return all ? all : done;
        all += done;
        if ((size_t)done < parts[i].iov_len) break;
    }
    return all;
}

static int cannot_make(const char *path) {
    char whole[2 * PATH_MAX], here[PATH_MAX];
    if (*path == '/' || !getcwd(here, sizeof here)) here[0] = 0;
    snprintf(whole, sizeof whole, "%s%s%s", here, here[0] ? "/" : "", path);
    return access(path, F_OK) != 0 && !taken(whole, 1);
}

int mkdir(const char *path, mode_t mode) {
    return cannot_make(path) ? full() : REAL(mkdir)(path, mode);
}

#define OPEN(name)                                                     \
    int name(const char *path, int flags, ...) {                       \
        va_list rest;                                                  \
        va_start(rest, flags);                                         \
        mode_t mode = flags & O_CREAT ? va_arg(rest, mode_t) : 0;      \
        va_end(rest);                                                  \
        if ((flags & O_CREAT) && cannot_make(path)) return full();     \
        return REAL(name)(path, flags, mode);                          \
    }
OPEN(open)
OPEN(open64)
