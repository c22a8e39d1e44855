// slipway-sandbox-probe: a static program that tests run inside a step (and outside, to compare).
//   probe syscall NUMBER [ARG…]    the call's errno (0: success) on one line; flags the kernel would act on are the
//   test's probe fds                      numbers of open descriptors, one line probe hold                     a
//   descendant in a session of its own that ignores signals, holding the output open probe trace PID errno of
//   ptrace(PTRACE_ATTACH) and of opening /proc/PID/exe, environ, root probe connect ADDRESS PORT     errno of a TCP
//   connection, at most 2 s
//   probe say PATH TEXT            sends a text to a Unix socket and prints the answer
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <initializer_list>

namespace {

int errno_of(long result) { return result < 0 ? errno : 0; }

int call(int count, char** words) {
  long a[6] = {};
  for (int i = 0; i + 3 < count && i < 6; ++i) a[i] = static_cast<long>(strtoull(words[i + 3], nullptr, 0));
  printf("%d\n", errno_of(syscall(strtol(words[2], nullptr, 0), a[0], a[1], a[2], a[3], a[4], a[5])));
  return 0;
}

int descriptors() {
  for (int fd = 0; fd < 4096; ++fd)
    if (fcntl(fd, F_GETFD) >= 0) printf("%d ", fd);
  printf("\n");
  return 0;
}

int hold() {
  if (fork() != 0) return 0;
  setsid();
  for (int number = 1; number < NSIG; ++number) signal(number, SIG_IGN);
  while (true) pause();
}

int trace(const char* pid) {
  printf("%d", errno_of(ptrace(PTRACE_ATTACH, static_cast<pid_t>(atoi(pid)), nullptr, nullptr)));
  for (const char* name : {"exe", "environ", "root/etc", "fd/3", "mem"}) {
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/%s/%s", pid, name);
    printf(" %d", errno_of(open(path, O_RDONLY)));
  }
  printf("\n");
  return 0;
}

int reach(const char* address, const char* port) {
  sockaddr_storage where{};
  socklen_t size = sizeof(sockaddr_in);
  auto* four = reinterpret_cast<sockaddr_in*>(&where);
  auto* six = reinterpret_cast<sockaddr_in6*>(&where);
  if (inet_pton(AF_INET, address, &four->sin_addr) == 1) {
    four->sin_family = AF_INET;
    four->sin_port = htons(static_cast<unsigned short>(atoi(port)));
  } else if (inet_pton(AF_INET6, address, &six->sin6_addr) == 1) {
    six->sin6_family = AF_INET6;
    six->sin6_port = htons(static_cast<unsigned short>(atoi(port)));
    size = sizeof *six;
  }
  const int fd = socket(where.ss_family, SOCK_STREAM | SOCK_NONBLOCK, 0);
  int error = errno_of(connect(fd, reinterpret_cast<sockaddr*>(&where), size));
  if (error == EINPROGRESS) {
    pollfd entry{fd, POLLOUT, 0};
    socklen_t length = sizeof error;
    error = poll(&entry, 1, 5000) == 1 ? 0 : ETIMEDOUT;
    if (error == 0) (void)getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length);
  }
  char greeting[64] = "";
  if (error == 0) {
    pollfd entry{fd, POLLIN, 0};
    const ssize_t got = poll(&entry, 1, 5000) == 1 ? read(fd, greeting, sizeof greeting - 1) : -1;
    greeting[got > 0 ? got : 0] = '\0';
  }
  printf("%d %s\n", error, greeting);
  return 0;
}

/// Sends a text to a socket of the file system and prints what comes back.
int say(const char* path, const char* text) {
  sockaddr_un where{};
  where.sun_family = AF_UNIX;
  (void)snprintf(where.sun_path, sizeof where.sun_path, "%s", path);
  const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  if (connect(fd, reinterpret_cast<sockaddr*>(&where), sizeof where) < 0 || write(fd, text, strlen(text)) < 0) return 1;
  char answer[64] = "";
  const ssize_t got = read(fd, answer, sizeof answer - 1);
  printf("%.*s\n", static_cast<int>(got > 0 ? got : 0), answer);
  return 0;
}

}  // namespace

int main(int count, char** words) {
  if (count >= 3 && strcmp(words[1], "syscall") == 0) return call(count, words);
  if (count == 2 && strcmp(words[1], "fds") == 0) return descriptors();
  if (count == 2 && strcmp(words[1], "hold") == 0) return hold();
  if (count == 3 && strcmp(words[1], "trace") == 0) return trace(words[2]);
  if (count == 4 && strcmp(words[1], "connect") == 0) return reach(words[2], words[3]);
  if (count == 4 && strcmp(words[1], "say") == 0) return say(words[2], words[3]);
  return 2;
}
