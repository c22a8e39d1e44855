#include "init/census.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace slipway::init {
namespace {

// sockstat: open sockets and connections in TIME_WAIT. snmp: IPv4, TCP of both families, UDP. snmp6: the rest of IPv6.
constexpr const char* kNames[] = {"/p/self/net/sockstat", "/p/self/net/snmp", "/p/self/net/snmp6"};
constexpr unsigned kSockets = 0, kSixth = 2;

bool starts_with(const char* line, const char* word) { return std::strncmp(line, word, std::strlen(word)) == 0; }

}  // namespace

// The files show the namespace of who opened them, whenever they are read.
Census::Census() {
  for (unsigned i = 0; i < kFiles; ++i) {
    files_[i] = open(kNames[i], O_RDONLY | O_CLOEXEC);
    before_[i].take(i, files_[i]);
  }
}

void Census::Text::take(unsigned kind, int file) {
  size = file < 0 ? -1 : pread(file, bytes, kSize - 1, 0);
  if (size >= 0) bytes[size] = '\0';
  if (kind == kSockets) keep_sockets();
  if (kind == kSixth) keep_traffic();
}

/// Of sockstat what belongs to the namespace; the rest are counts of the whole machine.
void Census::Text::keep_sockets() {
  if (size < 0) return;
  const char* used = std::strstr(bytes, "sockets: used ");
  const char* waiting = std::strstr(bytes, " tw ");
  if (used == nullptr || waiting == nullptr) return void(size = -1);
  const long counts[] = {std::strtol(used + std::strlen("sockets: used "), nullptr, 10),
                         std::strtol(waiting + std::strlen(" tw "), nullptr, 10)};
  size = snprintf(bytes, kSize, "%ld %ld", counts[0], counts[1]);
}

/// Of snmp6 only lines that the kernel does not count up by itself: UDP and echo requests.
void Census::Text::keep_traffic() {
  if (size < 0) return;
  char* out = bytes;
  for (char* line = bytes; *line != '\0';) {
    char* end = std::strchr(line, '\n');
    end = end == nullptr ? line + std::strlen(line) : end + 1;
    if (starts_with(line, "Udp") || starts_with(line, "Icmp6OutEchos") || starts_with(line, "Icmp6InEcho")) {
      std::memmove(out, line, static_cast<std::size_t>(end - line));
      out += end - line;
    }
    line = end;
  }
  size = out - bytes;
}

bool Census::Text::same(const Text& other) const {
  return size == other.size && std::memcmp(bytes, other.bytes, static_cast<std::size_t>(size)) == 0;
}

bool Census::unchanged() const {
  static Text now;
  for (unsigned i = 0; i < kFiles; ++i) {
    if (files_[i] < 0 || before_[i].size <= 0) {
      if (i == kSixth && files_[i] < 0) continue;  // a kernel without IPv6
      return false;
    }
    now.take(i, files_[i]);
    if (!now.same(before_[i])) return false;
  }
  return true;
}

}  // namespace slipway::init
